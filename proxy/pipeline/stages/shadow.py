"""Shadow: decide everything, do nothing of it. What would have been served and cut is noted on the call."""

from dataclasses import replace

from proxy.core.answers import Stored
from proxy.pipeline.call import Call, revise
from proxy.pipeline.toolbox import Toolbox

REASON = "shadow"


def withhold(call: Call) -> Call:
    """A hit in shadow becomes what would have been. Without keys no later stage looks up or stores: a cache in use would not have stored
    this answer either, and its hits would have been as many."""
    if not isinstance(call.answer, Stored) or not call.in_shadow:
        return call
    return revise(
        call, would=call.answer, answer=None, tier="miss", reason=REASON, reads=False, writes=False, keys=None, withheld_keys=call.keys
    )


async def leave_whole(call: Call, tools: Toolbox) -> Call:
    """In shadow send the chat whole. Its answer is then none to the cut chat, so it is not kept as one."""
    if not call.in_shadow or call.cut is None:
        return call
    return revise(call, would_cut=call.cut, cut=None, keys=replace(call.keys, sent=None) if call.keys else None)
