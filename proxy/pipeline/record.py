"""The one way out: whatever happened to a request, it becomes one event. Nothing here waits."""

import time

from proxy.core.exchange import Call, Refused, Stored
from proxy.core.ports import Toolbox
from proxy.core.worth import worth
from stats.measures import Event

CLIENT_CLOSED = 499  # nginx's code for a client that left before the answer


async def record(call: Call, tools: Toolbox) -> Call:
    """Hand the event to the ledger."""
    tools.ledger.record(event_of(call))
    return call


def event_of(call: Call) -> Event:
    """The decision record of a finished call. It holds no prompt and no answer."""
    gained, error = worth(call), call.answer.error if isinstance(call.answer, Refused) else None
    shown = call.answer if isinstance(call.answer, Stored) else call.probe if call.sample_of else None
    return Event(
        event_id=call.request_id,
        at=call.at,
        tenant_id=call.key.tenant_id if call.key else None,
        tenant=call.key.tenant if call.key else "",
        key_id=call.key.id if call.key else None,
        key=call.key.name if call.key else "",
        plan_id=call.plan.id if call.plan else None,
        plan=call.plan.name if call.plan else "",
        plan_version=call.plan.version if call.plan else None,
        route=call.route.name if call.route else "",
        upstream=call.route.upstream.name if call.route else "",
        model=call.route.model if call.route else "",
        stream=call.request.stream if call.request else False,
        status=call.status or CLIENT_CLOSED,
        outcome=call.outcome,
        error_code=(error.code or error.type) if error else "",
        tier=call.tier,
        reason=call.reason or _veto(call),
        similarity=shown.similarity if shown else _nearest(call),
        score=shown.score if shown else next((each.score for each in call.judged), None),
        entry_id=shown.entry_id if shown else "",
        would=call.would.tier if call.would else "",
        sample=call.verdict,
        basis=call.basis if call.sample_of else "",
        failures=call.failures,
        attempts=call.attempts,
        engine=call.cut.engine if call.cut and call.cut.messages is not None and call.attempts else "",
        note=f"sample of {call.sample_of}" if call.sample_of else call.cut.note if call.cut else "",
        asked_tokens=gained.asked,
        prompt_tokens=call.usage.prompt,
        cached_tokens=call.usage.cached,
        written_tokens=call.usage.written,
        completion_tokens=call.usage.completion,
        served_tokens=gained.served,
        tokens_saved=gained.saved,
        estimated=call.usage.estimated,
        would_cost=gained.would,
        billed_cost=gained.billed,
        spent_cost=gained.spent,
        duration_ms=(time.monotonic() - call.started) * 1000,
        upstream_ms=call.upstream_seconds * 1000,
        overhead_ms=call.overhead_seconds * 1000,
    )


def _veto(call: Call) -> str:
    """Why a near neighbour was not served, on a miss."""
    return call.vetoes[0] if call.tier == "miss" and call.vetoes else ""


def _nearest(call: Call) -> float | None:
    return call.candidates[0].similarity if call.candidates else None
