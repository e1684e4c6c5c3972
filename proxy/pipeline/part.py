"""The flight is over: whoever asks the same from now on finds the stored answer, or asks the provider anew."""

import time

from proxy.core.exchange import Call
from proxy.core.ports import Toolbox


async def part(call: Call, tools: Toolbox) -> Call:
    """Leave the flight; its leader closes it."""
    if call.flight is None:
        return call
    if call.leads:
        tools.flights.close(call.flight, now=time.monotonic())
    else:
        call.flight.leave()
    return call
