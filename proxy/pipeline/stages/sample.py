"""Choose the stored answers that are compared with the provider's."""

import random

from proxy.core.answers import Stored
from proxy.core.ports import Candidate
from proxy.core.quality.error_budget import BELOW
from proxy.core.verification.rules.registry import veto
from proxy.pipeline.cache_access import fresh_enough, open_candidate
from proxy.pipeline.call import Call, revise, tenant_of
from proxy.pipeline.question_matching import VERIFIER
from proxy.pipeline.toolbox import Toolbox

# Is the threshold higher than it need be? The nearest neighbour that it keeps out, for a share of
# the misses: the provider is asked anyway, so to compare its answer costs no money.


async def explore(call: Call, tools: Toolbox) -> Call:
    """Set the probe. Only under an error budget, and where no hit was withheld."""
    if not call.basis or call.would is not None or call.question is None or call.plan is None or call.plan.cache is None:
        return call
    if random.random() >= call.plan.cache.sample_rate:  # noqa: S311 -- chance, no secret
        return call
    nearest = _kept_out(call, call.threshold) if call.threshold is not None else None
    if nearest is None:
        return call
    candidate, score = nearest
    envelope = await open_candidate(call, tools, candidate)
    if envelope is None or not fresh_enough(call, envelope):
        return call
    return revise(call, probe=Stored(envelope, "semantic", 0, candidate.similarity, score, candidate.entry_id))


def _kept_out(call: Call, threshold: float) -> tuple[Candidate, float | None] | None:
    """The first neighbour that nothing but a number little below the threshold stands against, and its score where it has one."""
    judged = {each.entry_id: each for each in call.judged}
    for candidate in call.candidates:
        found = judged.get(candidate.entry_id)
        if found is not None and found.reason == VERIFIER and found.score is not None and found.score >= threshold - BELOW:
            return candidate, found.score
        near = found is None and threshold - BELOW <= candidate.similarity < threshold
        if near and _by_cosine(call) and not veto(call.question or "", candidate.question):
            return candidate, None
    return None


def _by_cosine(call: Call) -> bool:
    """Whether the cosine of the questions alone decides."""
    assert call.plan is not None and call.plan.cache is not None  # noqa: S101, PT018 -- there is no threshold without
    return call.plan.cache.match == "cosine" and (call.window is None or len(call.window.said) == 1)


# Which answers are to be compared with the provider's, and what every look-up tells of the plan.
# After the reply.


async def pick(call: Call, tools: Toolbox) -> Call:
    """Set the probe where a would-be hit is sampled. A request that wanted a stored answer or none makes no call upstream afterwards."""
    if not call.basis or call.plan is None or call.plan.cache is None or call.outcome != "ok" or call.status != 200:
        return revise(call, probe=None) if call.probe else call
    served = call.answer if isinstance(call.answer, Stored) and call.answer.tier == "semantic" else None
    hit = served or call.would
    if call.question is not None and call.plan.cache.backend not in call.failures:
        tools.budgets.looked(call.plan, call.basis, tenant_of(call), call.question, hit.entry_id if hit else "")
    if hit is None:
        return call
    sampled = random.random() < call.plan.cache.sample_rate  # noqa: S311 -- chance, no secret
    return revise(call, probe=hit if sampled and not (served and call.asked.controls.only_if_cached) else None)
