"""Let those who follow hear a stream while it arrives."""

from proxy.core.exchange import Call, Live, revise
from proxy.core.ports import Toolbox
from proxy.core.replies import Followed, Overheard
from proxy.core.worth import tokens_cut


async def share(call: Call, tools: Toolbox) -> Call:
    """Pass a leader's live answer on to its flight."""
    if call.flight is None or not call.leads or not isinstance(call.answer, Live):
        return call
    reply = call.answer.reply
    call.flight.begin(cut=reply.flight.cut if isinstance(reply, Followed) else tokens_cut(call))
    return revise(call, answer=Live(Overheard(reply, call.flight)))
