"""Look up the exact tier, for the request as it came and as compressed."""

from dataclasses import replace

from proxy.core.answers import CachedAnswer
from proxy.pipeline.cache_access import (
    REVALIDATION_LEASE_SECONDS,
    cache_seconds_left,
    is_fresh,
    lookup_exact,
    may_revalidate,
    read_exact,
)
from proxy.pipeline.call import Call, evolve
from proxy.pipeline.toolbox import Toolbox

# Was the identical request answered before?


async def exact_lookup(call: Call, tools: Toolbox) -> Call:
    """Answer from the exact tier for the request as asked. Raises ToolUnavailable."""
    if not call.reads_cache or call.cache_keys is None or not call.has_exact_tier:
        return call
    envelope = await lookup_exact(call, tools, call.cache_keys.exact)
    if envelope is None:
        return call
    stored = CachedAnswer(envelope, "exact", envelope.asked_tokens, entry_id=call.cache_keys.exact)
    if is_fresh(call, envelope):
        return evolve(call, tier="exact", answer=stored)
    call = evolve(call, stale_answer=stored)
    return await _serve_expired(call, tools, stored) if may_revalidate(call, envelope) else call


async def _serve_expired(call: Call, tools: Toolbox, stored: CachedAnswer) -> Call:
    """Answer with an expired entry; the first request to get it revalidates.

    A request that accepts only a cached answer leaves that to others.
    """
    if call.chat_request.cache_controls.only_if_cached:
        return evolve(call, tier="exact", answer=replace(stored, stale="only-if-cached"))
    claim = tools.exact_cache.claim(
        f"{stored.entry_id}:{stored.envelope.created_at}", REVALIDATION_LEASE_SECONDS
    )
    first = await tools.breakers["exact"].run(claim, seconds=cache_seconds_left(call))
    return evolve(
        call, tier="exact", answer=replace(stored, stale="revalidating"), needs_revalidation=first
    )


# After compression: was the compressed request sent before? The same upstream request has the same
# answer.


async def exact_lookup_compressed(call: Call, tools: Toolbox) -> Call:
    """Answer from the exact tier for the compressed request. Raises ToolUnavailable."""
    if (
        not call.reads_cache
        or call.cache_keys is None
        or call.cache_keys.compressed is None
        or call.compression is None
    ):
        return call
    envelope = await read_exact(call, tools, call.cache_keys.compressed)
    if envelope is None:
        return call
    return evolve(
        call,
        tier="exact",
        answer=CachedAnswer(
            envelope, "exact", call.compression.before, entry_id=call.cache_keys.compressed
        ),
    )
