"""Is the very same request on its way already? Then its answer is ours too, and nothing is embedded, compressed or paid twice."""

import asyncio

from proxy.core.exchange import Call, Stored, revise
from proxy.core.flights import Flight, Landing
from proxy.core.following import answered, wait_for
from proxy.core.forgetting import forgotten, since
from proxy.core.led import Led
from proxy.core.ports import Toolbox
from proxy.core.reading import fresh_enough
from proxy.core.replies import Followed


async def join(call: Call, tools: Toolbox) -> Call:
    """Follow an identical request of this worker to its answer, or lead those that will follow this one."""
    if not _shares(call) or call.keys is None:
        return call
    while True:
        flight, leads = tools.flights.board(call.keys.exact, arrived=call.ready, revision=call.directory.revision)
        if not leads and flight.revision < since(call):  # it asked before that was forgotten
            flight.leave()
            return call
        if leads:
            _abandoned_with_its_task(flight)
            return revise(call, flight=flight, client=Led(call.client, flight))
        try:
            landing, call = await wait_for(call, flight)
        except BaseException:
            flight.leave()
            raise
        if landing is None or (landing.answer is not None and _takes(call, landing)):
            return answered(revise(call, flight=flight), landing, Followed(flight))
        flight.leave()
        if landing.answer is not None or landing.alone:
            return call
        # It was given up: the first of those who waited leads.


def _shares(call: Call) -> bool:
    """Only what the exact tier would answer and keep; everything else goes its own way and never waits."""
    cached = call.reads and call.writes and call.exact_tier and call.plan is not None and call.plan.mode == "active"
    return cached and not call.asked.controls.only_if_cached


def _abandoned_with_its_task(flight: Flight) -> None:
    """However the leader ends, a server that stops in haste included, nobody waits for it afterwards."""
    task = asyncio.current_task()
    if task is not None:
        task.add_done_callback(lambda _: flight.abandon())


def _takes(call: Call, landing: Landing) -> bool:
    """Whether what the leader found in a cache is good enough for this request's own wishes too."""
    answer, wishes = landing.answer, call.asked.controls
    if isinstance(answer, Stored) and forgotten(call, answer.envelope):
        return False
    if landing.called or not isinstance(answer, Stored):
        return True
    return fresh_enough(call, answer.envelope) and wishes.similarity_threshold is None
