"""Store how a turn was sent and how much of it was billed as cached, for the next turn.

The next turn decides by that whether compression pays.
"""

import logging

from proxy.core.errors import ToolUnavailable
from proxy.core.prompt_caching.conversations import LastPrompt, PromptForm, count_turns
from proxy.core.prompt_caching.terms import prefix_is_warm
from proxy.pipeline.call import Call
from proxy.pipeline.toolbox import Toolbox

log = logging.getLogger("tokenthrift.proxy")


async def remember_conversation(call: Call, tools: Toolbox) -> Call:
    """Store the turn for the conversation's next one, under a plan that compresses if it saves.

    Nothing depends on it: without it the next turn knows nothing of this one.
    """
    if (
        call.conversation_id is None
        or call.key is None
        or call.status != 200
        or not call.usage.prompt_tokens
        or call.usage.is_estimated
    ):
        return call
    sent = _build_last_prompt(call)
    repeated = _count_repeated_tokens(call, sent)
    noting = tools.conversations.save(
        call.conversation_id,
        sent,
        turn=count_turns(call.chat_request.messages),
        tenant=call.key.tenant_id,
        route=call.resolved_route.memory_id,
        cached=min(call.usage.cached_tokens, repeated),
        repeated=repeated,
    )
    try:
        await tools.breakers["chats"].run(noting, seconds=tools.limits.store_seconds)
    except ToolUnavailable as error:
        log.log(
            error.log_level, "request %s: its chat is not noted: %s", call.request_id, error.reason
        )
    return call


def _build_last_prompt(call: Call) -> LastPrompt:
    """Build the record of this turn, with what it and earlier turns retrieved."""
    last = call.conversation.last_prompt if call.conversation else None
    recalled, searched = (last.retrieved_tokens, last.searched_tokens) if last else (0, 0)
    cut, plan = call.compression, call.plan
    how: PromptForm = "cut" if cut is not None and cut.messages is not None else "whole"
    if (
        cut is not None
        and plan is not None
        and plan.compression is not None
        and cut.before > plan.compression.max_input_tokens
    ):
        recalled, searched = recalled + cut.retrieved_tokens, searched + cut.before
    return LastPrompt(how, call.at, call.usage.prompt_tokens, recalled, searched)


def _count_repeated_tokens(call: Call, sent: LastPrompt) -> int:
    """Return the prompt tokens that the provider was sent shortly before and now again."""
    last = call.conversation.last_prompt if call.conversation else None
    # Only of a conversation sent uncompressed both times: how much of a compressed one stayed is
    # unknown.
    return (
        last.prompt_tokens
        if last
        and last.form == sent.form == "whole"
        and prefix_is_warm(last, call.resolved_route.upstream.provider, call.at)
        else 0
    )
