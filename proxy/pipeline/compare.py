"""Was the stored answer right? Compared with what the provider says to the same question."""

import asyncio

import orjson

from proxy.core.eligibility import admissible
from proxy.core.exchange import Call, revise
from proxy.core.ports import Toolbox
from proxy.core.same_answer import EMBEDDED, answer_text, judged
from stats.evidence import Sample


async def compare(call: Call, tools: Toolbox) -> Call:
    """Set the verdict, and count it. None where the provider gave no whole answer. Raises ToolUnavailable."""
    plan, probe = call.plan, call.probe
    if plan is None or plan.cache is None or probe is None or call.outcome != "ok" or not admissible(call.completion):
        return call
    stored, fresh = answer_text(orjson.loads(probe.envelope.completion)), answer_text(call.completion)
    if not stored or not fresh:
        return call
    one = await tools.embedder.embed(stored[:EMBEDDED])
    other = await tools.embedder.embed(fresh[:EMBEDDED])
    verdict = await asyncio.to_thread(judged, stored, fresh, float(one @ other))
    score = probe.score if plan.cache.match == "verified" else probe.similarity
    if score is not None:
        tools.budgets.sampled(plan, call.basis, call.request_id, Sample(call.at, score, verdict))
    return revise(call, verdict=verdict)
