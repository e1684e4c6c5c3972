"""The question as a vector, where the semantic tier may answer it at all."""

from dataclasses import replace

from proxy.core.cache_key import bucket_key
from proxy.core.eligibility import question_of, semantic_refusal
from proxy.core.exchange import Call, revise
from proxy.core.ports import Toolbox
from proxy.core.reading import time_left
from proxy.core.verify.fold import fold

SHARE = 0.7  # of the time left; the rest is for the look-up, without which the vector would be work for nothing


async def embed(call: Call, tools: Toolbox) -> Call:
    """Set question, bucket and vector. Raises ToolUnavailable."""
    if call.keys is None or call.plan is None or call.plan.cache is None or call.plan.cache.backend not in tools.semantic:
        return call
    refusal = semantic_refusal(call.asked, call.plan.cache)
    question = question_of(call.asked)
    if refusal is not None or question is None:
        return revise(call, vetoes=(*call.vetoes, refusal or "no-question"))
    bucket = bucket_key(call.asked.body, scope=call.keys.scope, plan=call.plan, route=call.target)
    left = time_left(call)
    vector = await tools.breakers["embedder"].run(tools.embedder.embed(fold(question), within=SHARE * left), seconds=left)
    return revise(call, question=question, keys=replace(call.keys, bucket=bucket), vector=vector)
