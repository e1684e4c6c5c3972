"""Note how a chat was sent and what the provider billed of it as cached: the next turn decides by that whether cutting pays."""

import logging

from proxy.core.chats import Sent, turn_of
from proxy.core.errors import ToolUnavailable
from proxy.core.exchange import Call
from proxy.core.outlook import held
from proxy.core.ports import Toolbox

log = logging.getLogger("tokenthrift.proxy")


async def note(call: Call, tools: Toolbox) -> Call:
    """Keep it for the chat's next turn, under a plan that cuts when it saves. Nothing depends on it: what is not noted is not known."""
    if call.chat is None or call.key is None or call.status != 200 or not call.usage.prompt or call.usage.estimated:
        return call
    sent = Sent("cut" if call.cut and call.cut.messages is not None else "whole", call.at, call.usage.prompt)
    repeated = _repeated(call, sent)
    noting = tools.chats.note(
        call.chat,
        sent,
        turn=turn_of(call.asked.messages),
        tenant=call.key.tenant_id,
        route=call.target.id,
        cached=min(call.usage.cached, repeated),
        repeated=repeated,
    )
    try:
        await tools.breakers["chats"].run(noting, seconds=tools.limits.store_budget)
    except ToolUnavailable as error:
        log.log(error.log_level, "request %s: its chat is not noted: %s", call.request_id, error.reason)
    return call


def _repeated(call: Call, sent: Sent) -> int:
    """Tokens that the provider was sent a moment before: the last prompt of a chat that went whole then and now. Of a cut one we cannot
    say how much of it stayed."""
    last = call.known.last if call.known else None
    return last.tokens if last and last.how == sent.how == "whole" and held(last, call.at) else 0
