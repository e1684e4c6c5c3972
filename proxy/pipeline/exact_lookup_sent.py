"""After something was cut: has what would be sent now been sent before? The same upstream request has the same answer."""

from proxy.core.exchange import Call, Stored, revise
from proxy.core.ports import Toolbox
from proxy.core.reading import read_exact


async def exact_lookup_sent(call: Call, tools: Toolbox) -> Call:
    """Answer from the exact tier by the compressed request. Raises ToolUnavailable."""
    if not call.reads or call.keys is None or call.keys.sent is None or call.cut is None:
        return call
    envelope = await read_exact(call, tools, call.keys.sent)
    if envelope is None:
        return call
    return revise(call, tier="exact", answer=Stored(envelope, "exact", call.cut.before, entry_id=call.keys.sent))
