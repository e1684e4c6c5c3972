"""Shadow mode: decide everything and apply none of it.

What would have been served or compressed is recorded on the call.
"""

from dataclasses import replace

from proxy.core.answers import CachedAnswer
from proxy.pipeline.call import Call, evolve
from proxy.pipeline.toolbox import Toolbox

SHADOW_REASON = "shadow"


def withhold_hit_in_shadow(call: Call) -> Call:
    """Turn a hit in shadow mode into the `shadow_hit`."""
    if not isinstance(call.answer, CachedAnswer) or not call.is_in_shadow:
        return call
    return evolve(
        call,
        shadow_hit=call.answer,
        answer=None,
        tier="miss",
        reason=SHADOW_REASON,
        reads_cache=False,
        writes_cache=False,
        # Without keys no later stage looks up or stores: an active cache would not have stored this
        # answer either, so the number of would-be hits stays true.
        cache_keys=None,
        shadow_keys=call.cache_keys,
    )


async def undo_compression_in_shadow(call: Call, tools: Toolbox) -> Call:
    """Send the conversation uncompressed in shadow mode."""
    if not call.is_in_shadow or call.compression is None:
        return call
    return evolve(
        call,
        shadow_compression=call.compression,
        compression=None,
        # The answer is not one to the compressed conversation, so it is not stored as one.
        cache_keys=replace(call.cache_keys, compressed=None) if call.cache_keys else None,
    )
