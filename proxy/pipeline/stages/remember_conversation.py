"""Note how a chat was sent and what the provider billed of it as cached:
the next turn decides by that whether cutting pays."""

import logging

from proxy.core.errors import ToolUnavailable
from proxy.core.prompt_caching.conversations import LastPrompt, PromptForm, count_turns
from proxy.core.prompt_caching.terms import prefix_is_warm
from proxy.pipeline.call import Call
from proxy.pipeline.toolbox import Toolbox

log = logging.getLogger("tokenthrift.proxy")


async def remember_conversation(call: Call, tools: Toolbox) -> Call:
    """Keep it for the chat's next turn, under a plan that cuts when it saves.

    Nothing depends on it: what is not noted is not known.
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
        route=call.resolved_route.id,
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
    """How this turn was sent, and what it and those before it recalled."""
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
    """Tokens that the provider was sent a moment before:
    the last prompt of a chat that went whole then and now. Of a cut one we cannot say how much of
    it stayed."""
    last = call.conversation.last_prompt if call.conversation else None
    return (
        last.prompt_tokens
        if last
        and last.form == sent.form == "whole"
        and prefix_is_warm(last, call.resolved_route.upstream.provider, call.at)
        else 0
    )
