"""Shadow: decide everything, do nothing of it.

What would have been served and cut is noted on the call.
"""

from dataclasses import replace

from proxy.core.answers import CachedAnswer
from proxy.pipeline.call import Call, evolve
from proxy.pipeline.toolbox import Toolbox

SHADOW_REASON = "shadow"


def withhold_hit_in_shadow(call: Call) -> Call:
    """A hit in shadow becomes what would have been.

    Without keys no later stage looks up or stores: a cache in use would not have stored this answer
    either, and its hits would have been as many.
    """
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
        cache_keys=None,
        shadow_keys=call.cache_keys,
    )


async def undo_compression_in_shadow(call: Call, tools: Toolbox) -> Call:
    """In shadow send the chat whole.

    Its answer is then none to the cut chat, so it is not kept as one.
    """
    if not call.is_in_shadow or call.compression is None:
        return call
    return evolve(
        call,
        shadow_compression=call.compression,
        compression=None,
        cache_keys=replace(call.cache_keys, compressed=None) if call.cache_keys else None,
    )
