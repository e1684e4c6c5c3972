"""What the ledger gets of a call: its event, its fingerprint, its cache entry."""

import re
import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import fields
from decimal import Decimal
from typing import Final

import numpy as np

from plans.pricing import NO_DETAILS, Details
from proxy.core.answers import Refused, Stored, Whole
from proxy.core.caching.envelope import Envelope
from proxy.core.caching.keys import end_user_digest
from proxy.core.ports import SemanticEntry
from proxy.core.prompt_caching.conversations import turn_of
from proxy.core.types import Vector
from proxy.pipeline.accounting import forgone, worth
from proxy.pipeline.call import Answer, Call, Keys
from stats.events import MAX_PLAN_NAME_LENGTH, MAX_UPSTREAM_REQUEST_ID_LENGTH, Bill, Event, Imprint, Kept

# The one way out: whatever happened to a request, it becomes one event. Nothing here waits.

MAX_TOKENS: Final = 1_000_000_000  # of one request; sums of many still fit into 64 bits
MAX_DOLLARS: Final = Decimal(99_999_999)
DETAILS: Final = tuple(field.name for field in fields(Details))
# A provider's word for an error that is short and plain enough for the ledger: `error_code` has 64 characters.
NAMED_ERROR = re.compile(r"[A-Za-z0-9_.-]{1,64}")
CLIENT_CLOSED = 499  # nginx's code for a client that left before the answer
BILL = (
    "attempts",
    "upstream_request_id",
    "not_kept",
    "engine",
    "note",
    "asked_tokens",
    "prompt_tokens",
    "cached_tokens",
    "written_tokens",
    "completion_tokens",
    "token_details",
    "tokens_saved",
    "estimated",
    "bill",
    "would_cost",
    "billed_cost",
)


def event_of(call: Call) -> Event:
    """The decision record of a finished call. It holds no prompt and no answer."""
    gained, (tokens, dollars) = worth(call), forgone(call)
    failed = call.fault or call.answer
    hit = call.answer if isinstance(call.answer, Stored) else call.probe if call.sample_of else call.would
    return Event(
        event_id=call.request_id,
        at=call.at,
        tenant_id=call.key.tenant_id if call.key else None,
        tenant=call.key.tenant if call.key else "",
        key_id=call.key.id if call.key else None,
        key=call.key.name if call.key else "",
        plan_id=call.plan.id if call.plan else None,
        plan=call.plan.name if call.plan else _unknown_plan(call),
        plan_version=call.plan.version if call.plan else None,
        route=call.route.name if call.route else "",
        upstream=call.route.upstream.name if call.route else "",
        model=call.route.model if call.route else "",
        stream=call.request.stream if call.request else False,
        status=call.status or CLIENT_CLOSED,
        outcome="client_closed" if call.left and call.outcome == "ok" else call.outcome,
        error_code=_error_code(failed),
        tier=call.tier,
        reason=call.reason or _stale(call) or _note(call),
        similarity=hit.similarity if hit else _nearest(call),
        score=hit.score if hit else next((each.score for each in call.judged), None),
        entry_id=(hit.entry_id if hit else "") or _own_entry(call),
        would=call.would.tier if call.would else "",
        shadow=call.in_shadow,
        would_tokens=_tokens(tokens),
        would_saved=_dollars(dollars),
        sample=call.verdict,
        basis=call.basis if call.sample_of else "",
        collapsed=call.collapsed,
        stale=bool(_stale(call)),
        turns=turn_of(call.request.messages) if call.request else 0,
        holdout=call.plan.holdout if call.lot and call.plan else 0.0,
        replicate=call.lot.replicate if call.lot else 0,
        size=call.lot.size if call.lot else 0.0,
        failures=call.failures,
        not_kept=call.not_kept,
        attempts=call.attempts,
        upstream_request_id=call.upstream_request_id[:MAX_UPSTREAM_REQUEST_ID_LENGTH],
        engine=call.cut.engine if call.cut and call.cut.messages is not None and call.attempts else "",
        note=f"{call.reason or 'sample'} of {call.sample_of}" if call.sample_of else call.cut.note if call.cut else "",
        asked_tokens=_tokens(gained.asked),
        prompt_tokens=_tokens(call.usage.prompt),
        cached_tokens=_tokens(call.usage.cached),
        written_tokens=_tokens(call.usage.written),
        completion_tokens=_tokens(call.usage.completion),
        token_details=_token_details(call.usage.details),
        served_tokens=_tokens(gained.served),
        tokens_saved=max(-MAX_TOKENS, min(gained.saved, MAX_TOKENS)),
        estimated=call.usage.estimated,
        bill=_bill(call),
        would_cost=_dollars(gained.would),
        billed_cost=_dollars(gained.billed),
        spent_cost=_dollars(gained.spent) or Decimal(0),
        duration_ms=(time.monotonic() - call.started) * 1000,
        upstream_ms=call.upstream_seconds * 1000,
        overhead_ms=call.overhead_seconds * 1000,
    )


def _bill(call: Call) -> Bill:
    """Where the bill comes from."""
    if not call.attempts:
        return ""
    if call.given_up:
        return "unknown"
    return "list" if call.usage.charged is None else "charged"


def _token_details(details: Details) -> dict[str, int]:
    """Those above 0, by name."""
    if details is NO_DETAILS:
        return {}
    return {name: number for name in DETAILS if (number := getattr(details, name))}


def _tokens(number: int) -> int:
    """As many as the ledger takes for possible."""
    return number if 0 <= number <= MAX_TOKENS else max(0, min(number, MAX_TOKENS))


def _dollars(amount: Decimal | None) -> Decimal | None:
    """As much as the ledger's column holds: an absurd price or count must not cost the row."""
    return None if amount is None else max(-MAX_DOLLARS, min(amount, MAX_DOLLARS))


def _own_entry(call: Call) -> str:
    """The entry that the answer is stored as, by this request or by the one whose call it shared. It says who else got the answer."""
    ok = call.outcome == "ok" and call.status == 200
    stored = call.admitted and call.writes and call.attempts > 0
    return call.keys.exact if ok and call.keys and (stored or call.collapsed) else ""


def _unknown_plan(call: Call) -> str:
    """The name of a plan that was asked for and does not exist: a misspelt one saves nothing, so somebody has to see it."""
    asked = call.request.plan_name if call.request and call.reason == "unknown-plan" else None
    return (asked or "")[:MAX_PLAN_NAME_LENGTH]


def _error_code(answer: Answer | None) -> str:
    """By our name where the error is ours, by the provider's where it is its own."""
    if isinstance(answer, Refused):
        return answer.error.code or answer.error.type
    return answer.error_code if isinstance(answer, Whole) and NAMED_ERROR.fullmatch(answer.error_code) else ""


def _stale(call: Call) -> str:
    """Why an expired answer was served."""
    return f"stale-{call.answer.stale}" if isinstance(call.answer, Stored) and call.answer.stale else ""


def _note(call: Call) -> str:
    """Why a near neighbour was not served, on a miss; or that the hit is another's call."""
    if call.collapsed:
        return "collapsed"
    return call.vetoes[0] if call.tier == "miss" and call.vetoes else ""


def _nearest(call: Call) -> float | None:
    return call.candidates[0].similarity if call.candidates else None


# What is kept of a request so that another plan can be tried on it (`proxy.core.replay`).

LEVELS = 127


def imprint_of(call: Call, *, pepper: str) -> Imprint | None:
    """None of a request that the caches had nothing to do with, or must not answer, and of one that got no answer."""
    keys = call.withheld_keys or (call.keys if call.reads else None)
    if keys is None or call.key is None or call.plan is None or call.sample_of or call.status != 200 or call.outcome != "ok":
        return None
    return Imprint(
        event_id=call.request_id,
        at=call.at,
        tenant_id=call.key.tenant_id,
        plan_id=call.plan.id,
        key_id=call.key.id,
        asked=keys.exact[:32],
        bucket=(keys.bucket or "")[:32] if call.vector is not None else "",
        end_user=end_user_digest(call.asked.user, tenant_id=call.key.tenant_id, pepper=pepper),
        vector=packed(call.vector) if call.vector is not None else "",
    )


def packed(vector: Vector) -> str:
    """One signed byte a dimension, of the largest of them: the direction, which is all that a cosine compares."""
    largest = float(np.abs(vector).max()) or 1.0
    return b64encode(np.rint(vector * (LEVELS / largest)).astype(np.int8).tobytes()).decode()


# What the ledger is told of an answer that is about to be stored.


def kept_of(
    call: Call, keys: Keys, envelope: Envelope, *, exact: Sequence[str], entry: SemanticEntry | None, size: int, ttl: int, pepper: str
) -> Kept:
    """`exact`: the keys it is stored under in the exact tier, `entry`: what the semantic one gets; `size`: of the encoded envelope in
    bytes; `ttl`: how long the stores keep it, in seconds."""
    assert call.key is not None and call.plan is not None and call.plan.cache is not None  # noqa: S101, PT018 -- there are no keys without
    semantic = size + len(entry.question.encode()) + 2 * len(entry.vector) if entry else 0
    return Kept(
        entry_id=keys.exact,
        sent=keys.sent or "",
        tenant_id=call.key.tenant_id,
        tenant=call.key.tenant,
        plan_id=call.plan.id,
        plan=call.plan.name,
        route=call.target.name,
        namespace=call.asked.controls.namespace or "",
        end_user=end_user_digest(call.asked.user, tenant_id=call.key.tenant_id, pepper=pepper),
        backend=(call.plan.cache.backend or "") if entry else "",
        exact=bool(exact),
        bytes=size * len(exact) + semantic,
        created_at=envelope.created_at,
        expires_at=envelope.created_at + ttl,
    )
