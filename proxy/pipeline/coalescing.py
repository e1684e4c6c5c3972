"""How a request gets the answer of a flight that another one leads, in this worker or elsewhere."""

import time

from proxy.core.answers import Refused, Stored, Whole
from proxy.core.concurrency import until_gone
from proxy.core.errors import ClientGone
from proxy.core.flights import Flight, Landing
from proxy.core.upstream_replies import Followed
from proxy.pipeline.call import Call, Live, revise


async def wait_for(call: Call, flight: Flight) -> tuple[Landing | None, Call]:
    """What comes of the flight: a landing, or None when its stream is to be followed or this client has gone, as the outcome says."""
    begun, landing = time.monotonic(), None
    try:
        async with until_gone(call.client):
            landing = await flight.heard(live=call.asked.stream)
    except ClientGone:
        call = revise(call, outcome="client_closed")
    return landing, revise(call, upstream_seconds=call.upstream_seconds + time.monotonic() - begun)


def answered(call: Call, landing: Landing | None, reply: Followed) -> Call:
    """The call with the flight's answer, which is `reply` while it arrives. An error answers everybody who waited for it."""
    if call.outcome != "ok":
        return call
    if landing is None:
        return revise(call, tier="exact", collapsed=True, answer=Live(reply))
    answer = landing.answer
    if isinstance(answer, Stored):
        return revise(call, tier=answer.tier, collapsed=landing.called, answer=answer)
    failed = isinstance(answer, Whole | Refused)
    return revise(call, collapsed=True, answer=answer, outcome="upstream_error" if failed else call.outcome)
