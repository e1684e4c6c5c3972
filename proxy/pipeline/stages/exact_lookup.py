"""Look up the exact tier, by the request as it came and as compression made it."""

from dataclasses import replace

from proxy.core.answers import Stored
from proxy.pipeline.cache_access import LEASE, find_exact, fresh_enough, may_revalidate, read_exact, time_left
from proxy.pipeline.call import Call, revise
from proxy.pipeline.toolbox import Toolbox

# Has the very same request been answered before?


async def exact_lookup(call: Call, tools: Toolbox) -> Call:
    """Answer from the exact tier by the request as asked. Raises ToolUnavailable."""
    if not call.reads or call.keys is None or not call.exact_tier:
        return call
    envelope = await find_exact(call, tools, call.keys.exact)
    if envelope is None:
        return call
    stored = Stored(envelope, "exact", envelope.asked_tokens, entry_id=call.keys.exact)
    if fresh_enough(call, envelope):
        return revise(call, tier="exact", answer=stored)
    call = revise(call, fallback=stored)
    return await _expired(call, tools, stored) if may_revalidate(call, envelope) else call


async def _expired(call: Call, tools: Toolbox, stored: Stored) -> Call:
    """Answer with the expired entry. The first to be given it fetches the next; who wants no call upstream leaves that to others."""
    if call.asked.controls.only_if_cached:
        return revise(call, tier="exact", answer=replace(stored, stale="only-if-cached"))
    claim = tools.exact.claim(f"{stored.entry_id}:{stored.envelope.created_at}", LEASE)
    first = await tools.breakers["exact"].run(claim, seconds=time_left(call))
    return revise(call, tier="exact", answer=replace(stored, stale="revalidating"), refresh=first)


# After something was cut: has what would be sent now been sent before? The same upstream request
# has the same answer.


async def exact_lookup_sent(call: Call, tools: Toolbox) -> Call:
    """Answer from the exact tier by the compressed request. Raises ToolUnavailable."""
    if not call.reads or call.keys is None or call.keys.sent is None or call.cut is None:
        return call
    envelope = await read_exact(call, tools, call.keys.sent)
    if envelope is None:
        return call
    return revise(call, tier="exact", answer=Stored(envelope, "exact", call.cut.before, entry_id=call.keys.sent))
