"""Compare a stored answer with the provider's, and act on the verdict."""

import asyncio

import orjson

from proxy.core.answers import Refused, Whole
from proxy.core.caching.eligibility import admissible
from proxy.core.errors import UpstreamInvalid
from proxy.core.formats.usage import usage_of
from proxy.core.quality.answer_comparison import EMBEDDED, answer_text, judged
from proxy.pipeline.call import Call, revise, tenant_of
from proxy.pipeline.llm_judge import opinion
from proxy.pipeline.toolbox import Toolbox
from stats.analysis.error_rate import Sample

# What the provider said to a sample, and what it bills for it.


async def hear(call: Call, tools: Toolbox) -> Call:
    """Set status and usage, as `respond` does where somebody waits for the answer."""
    if isinstance(call.answer, Refused):
        return revise(call, status=call.answer.error.status)
    if isinstance(call.answer, Whole):
        return revise(call, status=call.answer.status, usage=usage_of(call.answer.completion, call.target.upstream.provider) or call.usage)
    return call


# Was the stored answer right? Compared with what the provider says to the same question.


async def compare(call: Call, tools: Toolbox) -> Call:
    """Set the verdict of the rules. None where the provider gave no whole answer. Raises ToolUnavailable."""
    probe = call.probe
    if probe is None or call.outcome != "ok" or not admissible(call.completion):
        return call
    stored, fresh = answer_text(orjson.loads(probe.envelope.completion)), answer_text(call.completion)
    if not stored or not fresh:
        return call
    one = await tools.embedder.embed(stored[:EMBEDDED], tenant=tenant_of(call))
    other = await tools.embedder.embed(fresh[:EMBEDDED], tenant=tenant_of(call))
    verdict = await asyncio.to_thread(judged, stored, fresh, float(one @ other))
    return revise(call, verdict=verdict)


# What the judge said.


async def understand(call: Call, tools: Toolbox) -> Call:
    """Set the verdict: *unclear*, and a failure of the judge, where its reply is none of the words it was given."""
    if call.outcome != "ok" or call.completion is None:
        return call
    if word := opinion(answer_text(call.completion)):
        return revise(call, verdict=word)
    error = UpstreamInvalid("The judge replied with something else than SAME, DIFFERENT or UNSURE.")
    return revise(call, verdict="unclear", answer=Refused(error), outcome="upstream_error", status=error.status)


# A sample with its verdict counts.


async def tally(call: Call, tools: Toolbox) -> Call:
    """Tell the plan's error budget, by the number that its threshold is of."""
    plan, probe = call.plan, call.probe
    if plan is None or plan.cache is None or probe is None or not call.verdict:
        return call
    score = probe.score if plan.cache.match == "verified" else probe.similarity
    if score is not None:
        tools.budgets.sampled(plan, call.basis, tenant_of(call), call.request_id, Sample(call.at, score, call.verdict))
    return call


# A stored answer that was wrong for a question serves no other one by meaning. Identical questions
# keep it: for them it was right.


async def retire(call: Call, tools: Toolbox) -> Call:
    """Delete the entry of a sampled hit found wrong. Raises ToolUnavailable."""
    if call.verdict != "wrong" or call.would is None or call.plan is None or call.plan.cache is None or call.plan.cache.backend is None:
        return call
    backend = tools.semantic[call.plan.cache.backend]
    await tools.breakers[backend.name].run(backend.delete(call.would.entry_id), seconds=tools.limits.store_budget)
    return call
