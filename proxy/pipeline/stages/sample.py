"""Choose the stored answers that are compared with the provider's."""

import random

from proxy.core.answers import CachedAnswer
from proxy.core.ports import Candidate
from proxy.core.quality.error_budget import THRESHOLD_PROBE_MARGIN
from proxy.pipeline.cache_access import decode_candidate, is_fresh
from proxy.pipeline.call import Call, evolve, get_tenant_id
from proxy.pipeline.question_matching import VERIFIER_REASON, find_objection
from proxy.pipeline.toolbox import Toolbox

# Is the threshold higher than necessary? For a share of the misses the nearest candidate that it
# rejects is sampled: the provider is called anyway, so comparing its answer costs no money.


async def sample_candidate(call: Call, tools: Toolbox) -> Call:
    """Set the candidate to compare on a miss, under an error budget and if no hit was withheld."""
    if (
        not call.cohort
        or call.shadow_hit is not None
        or call.question is None
        or call.plan is None
        or call.plan.cache is None
    ):
        return call
    if random.random() >= call.plan.cache.sample_rate:  # noqa: S311 -- chance, no secret
        return call
    nearest = (
        _find_rejected_candidate(call, tools, call.learned_threshold)
        if call.learned_threshold is not None
        else None
    )
    if nearest is None:
        return call
    candidate, score = nearest
    envelope = await decode_candidate(call, tools, candidate)
    if envelope is None or not is_fresh(call, envelope):
        return call
    return evolve(
        call,
        sample_candidate=CachedAnswer(
            envelope, "semantic", 0, candidate.similarity, score, candidate.entry_id
        ),
    )


def _find_rejected_candidate(
    call: Call, tools: Toolbox, threshold: float
) -> tuple[Candidate, float | None] | None:
    """Find the first candidate rejected only by being slightly below the threshold.

    With its verifier score, if it has one.
    """
    judged = {each.entry_id: each for each in call.candidate_verdicts}
    for candidate in call.candidates:
        found = judged.get(candidate.entry_id)
        if (
            found is not None
            and found.reason == VERIFIER_REASON
            and found.score is not None
            and found.score >= threshold - THRESHOLD_PROBE_MARGIN
        ):
            return candidate, found.score
        near = (
            found is None and threshold - THRESHOLD_PROBE_MARGIN <= candidate.similarity < threshold
        )
        if (
            near
            and _is_decided_by_cosine(call)
            and not find_objection(call.question or "", candidate.question, tools, match="cosine")
        ):
            return candidate, None
    return None


def _is_decided_by_cosine(call: Call) -> bool:
    """Whether the cosine of the questions alone decides."""
    assert call.plan is not None and call.plan.cache is not None  # noqa: S101, PT018 -- there is no threshold without
    return call.plan.cache.match == "cosine" and (
        call.window is None or len(call.window.user_turns) == 1
    )


# Which hits are compared with the provider's answer, and what every lookup reports to the error
# budget. After the reply.


async def sample_hits(call: Call, tools: Toolbox) -> Call:
    """Report the lookup to the error budget and set the candidate if a would-be hit is sampled.

    A request that accepts only a cached answer makes no upstream call afterwards.
    """
    if (
        not call.cohort
        or call.plan is None
        or call.plan.cache is None
        or call.outcome != "ok"
        or call.status != 200
    ):
        return evolve(call, sample_candidate=None) if call.sample_candidate else call
    served = (
        call.answer
        if isinstance(call.answer, CachedAnswer) and call.answer.tier == "semantic"
        else None
    )
    hit = served or call.shadow_hit
    if call.question is not None and call.plan.cache.backend not in call.failures:
        tools.error_budgets.observe_lookup(
            call.plan, call.cohort, get_tenant_id(call), call.question, hit.entry_id if hit else ""
        )
    if hit is None:
        return call
    sampled = random.random() < call.plan.cache.sample_rate  # noqa: S311 -- chance, no secret
    return evolve(
        call,
        sample_candidate=hit
        if sampled and not (served and call.chat_request.cache_controls.only_if_cached)
        else None,
    )
