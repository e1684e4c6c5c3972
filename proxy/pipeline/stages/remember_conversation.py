"""Note how a chat was sent and what the provider billed of it as cached: the next turn decides by that whether cutting pays."""

import logging

from proxy.core.errors import ToolUnavailable
from proxy.core.prompt_caching.conversations import How, Sent, turn_of
from proxy.core.prompt_caching.terms import held
from proxy.pipeline.call import Call
from proxy.pipeline.toolbox import Toolbox

log = logging.getLogger("tokenthrift.proxy")


async def note(call: Call, tools: Toolbox) -> Call:
    """Keep it for the chat's next turn, under a plan that cuts when it saves. Nothing depends on it: what is not noted is not known."""
    if call.chat is None or call.key is None or call.status != 200 or not call.usage.prompt or call.usage.estimated:
        return call
    sent = _sent(call)
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


def _sent(call: Call) -> Sent:
    """How this turn was sent, and what it and those before it recalled."""
    last = call.known.last if call.known else None
    recalled, searched = (last.recalled, last.searched) if last else (0, 0)
    cut, plan = call.cut, call.plan
    how: How = "cut" if cut is not None and cut.messages is not None else "whole"
    if cut is not None and plan is not None and plan.compression is not None and cut.before > plan.compression.max_input_tokens:
        recalled, searched = recalled + cut.recalled, searched + cut.before
    return Sent(how, call.at, call.usage.prompt, recalled, searched)


def _repeated(call: Call, sent: Sent) -> int:
    """Tokens that the provider was sent a moment before: the last prompt of a chat that went whole then and now. Of a cut one we cannot
    say how much of it stayed."""
    last = call.known.last if call.known else None
    return last.tokens if last and last.how == sent.how == "whole" and held(last, call.target.upstream.provider, call.at) else 0
