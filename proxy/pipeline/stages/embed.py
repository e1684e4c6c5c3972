"""Embed the question, if the semantic tier may answer it at all."""

from dataclasses import replace

from proxy.core.caching.cache_keys import bucket_key
from proxy.core.caching.eligibility import (
    VOCABULARY_REASON,
    extract_question,
    is_online_model,
    semantic_ineligibility,
)
from proxy.core.event_loop import run_off_loop
from proxy.core.verification.conversation import (
    build_chat_turns,
    is_comparable,
    select_look_up_text,
)
from proxy.pipeline.call import Call, evolve
from proxy.pipeline.question_matching import embed_texts, is_in_vocabulary
from proxy.pipeline.toolbox import Toolbox

# Share of the time left; the rest is for the lookup, without which the embedding is useless.
EMBED_TIME_SHARE = 0.7


async def embed(call: Call, tools: Toolbox) -> Call:
    """Set question, bucket and vector, and the window if the plan compares it.

    Raises ToolUnavailable.
    """
    if call.cache_keys is None or call.plan is None or call.plan.cache is None:
        return call
    index = tools.select_index(call.plan.cache)
    if call.plan.cache.backend not in index.caches:
        return call
    refusal = (
        "unusual-body"
        if call.chat_request.is_unusual
        else semantic_ineligibility(call.chat_request, call.plan.cache)
    )
    question = extract_question(call.chat_request)
    if refusal is not None or question is None:
        return evolve(call, vetoes=(*call.vetoes, refusal or "no-question"))
    if is_online_model(call.resolved_route.model):
        return evolve(call, vetoes=(*call.vetoes, "tools"))
    if not await is_in_vocabulary(call, tools, index.embedder, question):
        return evolve(call, vetoes=(*call.vetoes, VOCABULARY_REASON))
    cache = call.plan.cache
    context = (
        "strict"
        if cache.context == "window" and not is_comparable(call.chat_request.messages)
        else cache.context
    )
    bucket = await run_off_loop(
        call.chat_request.size_bytes,
        bucket_key,
        call.chat_request.body,
        scope=call.cache_keys.scope,
        plan=call.plan,
        route=call.resolved_route,
        context=context,
    )
    chat = build_chat_turns(call.chat_request.messages) if context == "window" else None
    # One text, whatever the context: embedding two would take as long as the lookup itself.
    (vector,) = await embed_texts(
        call,
        tools,
        select_look_up_text(question, chat, cache.window),
        embedder=index.embedder,
        share=EMBED_TIME_SHARE,
    )
    return evolve(
        call,
        question=question,
        cache_keys=replace(call.cache_keys, bucket=bucket),
        vector=vector,
        window=chat,
    )
