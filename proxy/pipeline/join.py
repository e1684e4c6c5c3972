"""Is the very same request on its way already? Then its answer is ours too, and nothing is embedded, compressed or paid twice."""

import asyncio
import time

from proxy.core.errors import ClientGone
from proxy.core.exchange import Call, Live, Refused, Stored, Whole, revise
from proxy.core.flights import Flight, Followed, Landing
from proxy.core.leaving import until_gone
from proxy.core.led import Led
from proxy.core.ports import Toolbox
from proxy.core.reading import fresh_enough


async def join(call: Call, tools: Toolbox) -> Call:
    """Follow an identical request to its answer, or lead those that will follow this one."""
    if not _shares(call) or call.keys is None:
        return call
    while call.answer is None and call.outcome == "ok":
        flight, leads = tools.flights.board(call.keys.exact, arrived=call.ready)
        if leads:
            _abandoned_with_its_task(flight)
            return revise(call, flight=flight, client=Led(call.client, flight))
        landing, call = await _wait(call, flight)
        if landing is not None and (landing.answer is None or not _takes(call, landing)):
            flight.leave()
            if landing.answer is not None:
                return call
            continue  # it was given up: the first who comes back leads
        call = _answered(revise(call, flight=flight), landing)
    return call


def _abandoned_with_its_task(flight: Flight) -> None:
    """However the leader ends, a server that stops in haste included, nobody waits for it afterwards."""
    task = asyncio.current_task()
    if task is not None:
        task.add_done_callback(lambda _: flight.abandon())


def _shares(call: Call) -> bool:
    """Only what the exact tier would answer and keep; everything else goes its own way and never waits."""
    cached = call.reads and call.writes and call.exact_tier and call.plan is not None and call.plan.mode == "active"
    return cached and not call.asked.controls.only_if_cached


async def _wait(call: Call, flight: Flight) -> tuple[Landing | None, Call]:
    """What comes of the flight: a landing, or None when its stream is to be followed or this client has gone."""
    begun, landing = time.monotonic(), None
    try:
        async with until_gone(call.client):
            landing = await flight.heard(live=call.asked.stream)
    except ClientGone:
        call = revise(call, outcome="client_closed")
    except BaseException:
        flight.leave()
        raise
    return landing, revise(call, upstream_seconds=call.upstream_seconds + time.monotonic() - begun)


def _takes(call: Call, landing: Landing) -> bool:
    """Whether what the leader found in a cache is good enough for this request's own wishes too."""
    answer, wishes = landing.answer, call.asked.controls
    if landing.called or not isinstance(answer, Stored):
        return True
    return fresh_enough(call, answer.envelope) and wishes.similarity_threshold is None


def _answered(call: Call, landing: Landing | None) -> Call:
    """The call with the flight's answer. An error answers everybody who waited for it; the next request tries anew."""
    if call.outcome != "ok":
        return call
    if landing is None:
        assert call.flight is not None  # noqa: S101 -- the caller set it
        return revise(call, tier="exact", collapsed=True, answer=Live(Followed(call.flight)))
    answer = landing.answer
    if isinstance(answer, Stored):
        return revise(call, tier=answer.tier, collapsed=landing.called, answer=answer)
    failed = isinstance(answer, Whole | Refused)
    return revise(call, collapsed=True, answer=answer, outcome="upstream_error" if failed else call.outcome)
