"""Is the threshold higher than it need be? The nearest neighbour that it keeps out, for a share of the misses: the provider is asked
anyway, so to compare its answer costs no money."""

import random

from proxy.core.agree import VERIFIER
from proxy.core.budgets import BELOW
from proxy.core.exchange import Call, Stored, revise
from proxy.core.ports import Candidate, Toolbox
from proxy.core.reading import fresh_enough, open_candidate
from proxy.core.verify.verdict import veto


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
