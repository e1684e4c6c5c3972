"""The question as a vector, where the semantic tier may answer it at all."""

from dataclasses import replace

from proxy.core.caching.eligibility import VOCABULARY, is_online, question_of, semantic_refusal
from proxy.core.caching.keys import bucket_key
from proxy.core.event_loop import off_loop
from proxy.core.verification.conversation import chat_of, fits, text_of_window
from proxy.pipeline.call import Call, revise
from proxy.pipeline.question_matching import is_understood, vectors
from proxy.pipeline.toolbox import Toolbox

SHARE = 0.7  # of the time left; the rest is for the look-up, without which the vector would be work for nothing


async def embed(call: Call, tools: Toolbox) -> Call:
    """Set question, bucket and vector, and the window where the plan compares it. One text is embedded, whatever the context: a chat would
    wait for two as long as for the look-up itself. Raises ToolUnavailable."""
    if call.keys is None or call.plan is None or call.plan.cache is None or call.plan.cache.backend not in tools.semantic:
        return call
    refusal = "unusual-body" if call.asked.unusual else semantic_refusal(call.asked, call.plan.cache)
    question = question_of(call.asked)
    if refusal is not None or question is None:
        return revise(call, vetoes=(*call.vetoes, refusal or "no-question"))
    if is_online(call.target.model):
        return revise(call, vetoes=(*call.vetoes, "tools"))
    if not await is_understood(call, tools, question):
        return revise(call, vetoes=(*call.vetoes, VOCABULARY))
    cache = call.plan.cache
    context = "strict" if cache.context == "window" and not fits(call.asked.messages) else cache.context
    bucket = await off_loop(
        call.asked.size, bucket_key, call.asked.body, scope=call.keys.scope, plan=call.plan, route=call.target, context=context
    )
    chat = chat_of(call.asked.messages) if context == "window" else None
    (vector,) = await vectors(call, tools, question if chat is None else text_of_window(chat, cache.window), share=SHARE)
    return revise(call, question=question, keys=replace(call.keys, bucket=bucket), vector=vector, window=chat)
