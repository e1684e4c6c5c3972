"""The question as a vector, where the semantic tier may answer it at all."""

import asyncio
from dataclasses import replace

from proxy.core.cache_key import bucket_key
from proxy.core.eligibility import question_of, semantic_refusal
from proxy.core.exchange import Call, revise
from proxy.core.ports import Toolbox, Vector
from proxy.core.reading import time_left
from proxy.core.verify.chat import chat_of
from proxy.core.verify.fold import fold
from proxy.core.window import Window, fits, text_of_window

SHARE = 0.7  # of the time left; the rest is for the look-up, without which the vector would be work for nothing


async def embed(call: Call, tools: Toolbox) -> Call:
    """Set question, bucket and vector, and the window where the plan compares it. Raises ToolUnavailable."""
    if call.keys is None or call.plan is None or call.plan.cache is None or call.plan.cache.backend not in tools.semantic:
        return call
    refusal = semantic_refusal(call.asked, call.plan.cache)
    question = question_of(call.asked)
    if refusal is not None or question is None:
        return revise(call, vetoes=(*call.vetoes, refusal or "no-question"))
    cache = call.plan.cache
    context = "strict" if cache.context == "window" and not fits(call.asked.messages) else cache.context
    bucket = bucket_key(call.asked.body, scope=call.keys.scope, plan=call.plan, route=call.target, context=context)
    keys, chat = replace(call.keys, bucket=bucket), chat_of(call.asked.messages) if context == "window" else None
    if chat is None:
        (vector,) = await _vectors(call, tools, [question])
        return revise(call, question=question, keys=keys, vector=vector)
    texts = dict.fromkeys((text_of_window(chat, cache.window), chat.question))  # one and the same where nothing was said before
    vectors = await _vectors(call, tools, list(texts))
    return revise(call, question=question, keys=keys, vector=vectors[0], window=Window(chat, vectors[-1]))


async def _vectors(call: Call, tools: Toolbox, texts: list[str]) -> list[Vector]:
    """One vector a text."""
    left = time_left(call)
    return await tools.breakers["embedder"].run(_embedded(tools, texts, within=SHARE * left), seconds=left)


async def _embedded(tools: Toolbox, texts: list[str], *, within: float) -> list[Vector]:
    return await asyncio.gather(*(tools.embedder.embed(fold(text), within=within) for text in texts))
