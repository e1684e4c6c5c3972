"""Compare a stored answer with the provider's, and act on the verdict."""

import asyncio

import orjson

from proxy.core.answers import CompleteAnswer, ErrorAnswer
from proxy.core.caching.eligibility import is_cacheable_answer
from proxy.core.errors import UpstreamInvalid
from proxy.core.formats.usage import find_usage
from proxy.core.quality.answer_comparison import (
    MAX_EMBEDDED_LENGTH,
    compare_answer_texts,
    extract_answer_text,
)
from proxy.pipeline.call import Call, evolve, get_tenant_id
from proxy.pipeline.llm_judge import parse_verdict
from proxy.pipeline.toolbox import Toolbox
from stats.analysis.error_rate import Sample

# The provider's answer to a sample, and its usage.


async def read_answer(call: Call, tools: Toolbox) -> Call:
    """Set status and usage of a call without a client, as `respond` does for one with a client."""
    if isinstance(call.answer, ErrorAnswer):
        return evolve(call, status=call.answer.error.status)
    if isinstance(call.answer, CompleteAnswer):
        return evolve(
            call,
            status=call.answer.status,
            usage=find_usage(call.answer.completion, call.resolved_route.upstream.provider)
            or call.usage,
        )
    return call


# Was the stored answer right? It is compared with the provider's answer to the same question.


async def compare_answers(call: Call, tools: Toolbox) -> Call:
    """Set the rules' verdict, if the provider gave a complete answer. Raises ToolUnavailable."""
    probe = call.sample_candidate
    if probe is None or call.outcome != "ok" or not is_cacheable_answer(call.completion):
        return call
    stored, fresh = (
        extract_answer_text(orjson.loads(probe.envelope.completion)),
        extract_answer_text(call.completion),
    )
    if not stored or not fresh:
        return call
    one = await tools.embedder.embed(stored[:MAX_EMBEDDED_LENGTH], tenant=get_tenant_id(call))
    other = await tools.embedder.embed(fresh[:MAX_EMBEDDED_LENGTH], tenant=get_tenant_id(call))
    verdict = await asyncio.to_thread(compare_answer_texts, stored, fresh, float(one @ other))
    return evolve(call, verdict=verdict)


# The judge's reply.


async def read_verdict(call: Call, tools: Toolbox) -> Call:
    """Set the judge's verdict; *unclear* and an upstream error for any other reply."""
    if call.outcome != "ok" or call.completion is None:
        return call
    if word := parse_verdict(extract_answer_text(call.completion)):
        return evolve(call, verdict=word)
    error = UpstreamInvalid("The judge replied with something else than SAME, DIFFERENT or UNSURE.")
    return evolve(
        call,
        verdict="unclear",
        answer=ErrorAnswer(error),
        outcome="upstream_error",
        status=error.status,
    )


# A sample with a verdict counts.


async def count_sample(call: Call, tools: Toolbox) -> Call:
    """Add the sample to the plan's error budget, with the value that its threshold applies to."""
    plan, probe = call.plan, call.sample_candidate
    if plan is None or plan.cache is None or probe is None or not call.verdict:
        return call
    score = probe.score if plan.cache.match == "verified" else probe.similarity
    if score is not None:
        tools.error_budgets.add_sample(
            plan,
            call.cohort,
            get_tenant_id(call),
            call.request_id,
            Sample(call.at, score, call.verdict),
        )
    return call


# A stored answer that was wrong for a question is no longer served by similarity. Identical
# questions keep it: for them it was right.


async def evict_wrong_answer(call: Call, tools: Toolbox) -> Call:
    """Delete the semantic entry of a sampled hit that was found wrong. Raises ToolUnavailable."""
    if (
        call.verdict != "wrong"
        or call.shadow_hit is None
        or call.plan is None
        or call.plan.cache is None
        or call.plan.cache.backend is None
    ):
        return call
    backend = tools.select_index(call.plan.cache).caches[call.plan.cache.backend]
    await tools.breakers[backend.name].run(
        backend.delete(call.shadow_hit.entry_id), seconds=tools.limits.store_seconds
    )
    return call
