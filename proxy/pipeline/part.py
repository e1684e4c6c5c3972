"""The flight is over: whoever asks the same from now on finds the stored answer, or asks the provider anew."""

import logging
import time

from proxy.core.errors import ToolUnavailable
from proxy.core.exchange import Call
from proxy.core.led import Led
from proxy.core.ports import Toolbox

log = logging.getLogger("tokenthrift.proxy")


async def part(call: Call, tools: Toolbox) -> Call:
    """Leave the flight; its leader closes it, gives the lease back (else it lapses) and sees its own client served."""
    if call.flight is None:
        return call
    if not isinstance(call.client, Led):
        call.flight.leave()
        return call
    tools.flights.close(call.flight, now=time.monotonic())
    if tools.leases is not None:
        try:
            await tools.breakers["flights"].run(tools.leases.release(call.flight), seconds=tools.limits.store_budget)
        except ToolUnavailable as error:
            log.log(error.log_level, "request %s: its lease is left to lapse: %s", call.request_id, error.reason)
    await call.client.sent()
    return call
