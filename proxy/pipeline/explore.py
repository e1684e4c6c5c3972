"""Is the threshold higher than it need be? The nearest neighbour that it keeps out, for a share of the misses: the provider is asked
anyway, so to compare its answer costs no money."""

import random

from proxy.core.exchange import Call, Stored, revise
from proxy.core.ports import Toolbox
from proxy.core.reading import fresh_enough, open_envelope
from proxy.core.verify.verdict import veto

BELOW = 0.1  # how far below the threshold it is worth looking


async def explore(call: Call, tools: Toolbox) -> Call:
    """Set the probe. Only under an error budget, and where no hit was withheld."""
    if not call.basis or call.would is not None or call.question is None or call.plan is None or call.plan.cache is None:
        return call
    if random.random() >= call.plan.cache.sample_rate:  # noqa: S311 -- chance, no secret
        return call
    judged = {each.entry_id for each in call.judged}
    candidate = next((each for each in call.candidates if each.entry_id not in judged), None)
    if candidate is None or call.threshold is None or not call.threshold - BELOW <= candidate.similarity < call.threshold:
        return call
    envelope = open_envelope(call, candidate.envelope)
    if envelope is None or not fresh_enough(call, envelope) or veto(call.question, candidate.question):
        return call
    return revise(call, probe=Stored(envelope, "semantic", 0, candidate.similarity, entry_id=candidate.entry_id))
