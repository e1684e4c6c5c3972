"""Was a hit near this question said to be wrong? Then a neighbour must be nearer than the plan asks."""

from proxy.core.exchange import Call, revise
from proxy.core.ports import Toolbox


async def doubt(call: Call, tools: Toolbox) -> Call:
    """Set the threshold in force here, where one was raised."""
    if call.vector is None or call.keys is None or call.keys.bucket is None:
        return call
    return revise(call, raised=call.directory.doubts.raised(call.keys.bucket, call.vector, tools.embedder.id))
