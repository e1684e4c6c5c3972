"""Has the very same request been answered before?"""

from proxy.core.exchange import Call, Stored, revise
from proxy.core.ports import Toolbox
from proxy.core.reading import read_exact


async def exact_lookup(call: Call, tools: Toolbox) -> Call:
    """Answer from the exact tier by the request as asked. Raises ToolUnavailable."""
    if not call.reads or call.keys is None or not call.exact_tier:
        return call
    envelope = await read_exact(call, tools, call.keys.exact)
    if envelope is None:
        return call
    return revise(call, tier="exact", answer=Stored(envelope, "exact", envelope.asked_tokens, entry_id=call.keys.exact))
