"""The one way out: whatever happened to a request, it becomes one event. Nothing here waits."""

import re
import time
from dataclasses import fields, replace
from decimal import Decimal
from typing import Final

from plans.pricing import NO_DETAILS, Details
from proxy.core.chats import turn_of
from proxy.core.exchange import Answer, Call, Refused, Stored, Whole
from proxy.core.imprint import imprint_of
from proxy.core.ports import Toolbox
from proxy.core.worth import forgone, worth
from stats.measures import MAX_PLAN_NAME_LENGTH, MAX_UPSTREAM_REQUEST_ID_LENGTH, Bill, Event

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


async def record(call: Call, tools: Toolbox) -> Call:
    """Hand the event to the ledger. What was given before a refresh has one event with it: that answer, and the bill of this one."""
    event = event_of(call)
    if call.given is not None:
        event = replace(call.given, failures=event.failures, **{name: getattr(event, name) for name in BILL})
    tools.ledger.record(event)
    if tools.limits.imprints and (imprint := imprint_of(call, pepper=tools.limits.key_pepper)):
        tools.ledger.imprint(imprint)
    for watch in tools.watchers:
        watch(call, event)
    return call


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
