"""Get the answer of a flight that another request leads, in this worker or another one."""

import time

from proxy.core.answers import CachedAnswer, CompleteAnswer, ErrorAnswer
from proxy.core.concurrency import cancel_on_disconnect
from proxy.core.errors import ClientDisconnected
from proxy.core.flights import Flight, FlightResult
from proxy.core.upstream_replies import FollowerReply
from proxy.pipeline.call import Call, StreamingAnswer, evolve


async def wait_for_flight(call: Call, flight: Flight) -> tuple[FlightResult | None, Call]:
    """Wait for a flight; return its result, or None if its stream is to be followed.

    None also if this client disconnected, which `outcome` then says.
    """
    begun, landing = time.monotonic(), None
    try:
        async with cancel_on_disconnect(call.client):
            landing = await flight.wait(live=call.chat_request.stream)
    except ClientDisconnected:
        call = evolve(call, outcome="client_closed")
    return landing, evolve(call, upstream_seconds=call.upstream_seconds + time.monotonic() - begun)


def apply_flight_result(call: Call, landing: FlightResult | None, reply: FollowerReply) -> Call:
    """Set the flight's answer on the call; without a result yet, `reply` as the stream to follow.

    An error goes to every request that waited for it.
    """
    if call.outcome != "ok":
        return call
    if landing is None:
        return evolve(call, tier="exact", coalesced=True, answer=StreamingAnswer(reply))
    answer = landing.answer
    if isinstance(answer, CachedAnswer):
        return evolve(call, tier=answer.tier, coalesced=landing.was_called, answer=answer)
    failed = isinstance(answer, CompleteAnswer | ErrorAnswer)
    return evolve(
        call, coalesced=True, answer=answer, outcome="upstream_error" if failed else call.outcome
    )
