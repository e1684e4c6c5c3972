"""Expired answers that may still be served (RFC 5861): at once while one request fetches a new one, or where the provider fails.

Only answers of identical requests, only by a plan that says so, and never one older than the request accepts (`s-maxage`).
"""

import time

from proxy.core.envelope import Envelope
from proxy.core.exchange import Answer, Call, Refused, Whole, revise
from proxy.core.nobody import Nobody
from stats.measures import Event

# For so long nobody else fetches an answer that somebody is fetching, and nobody tries again after a failure. An answer that takes longer
# than this may be fetched twice.
LEASE = 30
TOO_MANY = 429


def may_revalidate(call: Call, envelope: Envelope) -> bool:
    """Whether this expired answer may be served while a new one is fetched."""
    return _within(call, envelope, call.plan.cache.stale_while_revalidate if call.plan and call.plan.cache else 0)


def may_stand_in(call: Call, envelope: Envelope) -> bool:
    """Whether this expired answer may be served because the provider failed."""
    return _within(call, envelope, call.plan.cache.stale_if_error if call.plan and call.plan.cache else 0)


def _within(call: Call, envelope: Envelope, seconds: int) -> bool:
    oldest = call.asked.controls.max_age
    return call.at < envelope.expires_at + seconds and (oldest is None or envelope.age(call.at) <= oldest)


def provider_failed(answer: Answer | None) -> bool:
    """Unreachable, too slow, answering nonsense, a server error, or too many requests."""
    status = answer.error.status if isinstance(answer, Refused) else answer.status if isinstance(answer, Whole) else 0
    return status >= 500 or status == TOO_MANY


def asked_again(call: Call, given: Event, *, budget: float) -> Call:
    """The call that fetches a new answer for nobody, after the client was given an expired one; `given` is the event of that.

    `budget`: seconds for what of it is cache work.
    """
    now = time.monotonic()
    return revise(call, client=Nobody(), given=given, answer=None, tier="miss", status=0, ready=now, budget_ends=now + budget)
