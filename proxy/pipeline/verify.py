"""Is a neighbour's answer the right answer? Above the threshold, ours, fresh, and no rule objects to it."""

from proxy.core.budgets import ERROR_BUDGET
from proxy.core.exchange import Call, Judged, Stored, revise
from proxy.core.forgetting import FORGOTTEN, forgotten
from proxy.core.ports import Candidate, Toolbox
from proxy.core.reading import fresh_enough, open_envelope
from proxy.core.verify.verdict import veto
from proxy.core.window import objection
from proxy.core.worth import compared_tokens


async def verify(call: Call, tools: Toolbox) -> Call:
    """Answer with the best candidate that passes every check; note why the others did not."""
    for candidate in call.candidates:
        if candidate.similarity < threshold(call):
            break
        answer, reason = _judge(call, candidate)
        judged = Judged(entry_id=candidate.entry_id, question=candidate.question, similarity=candidate.similarity, reason=reason)
        call = revise(call, judged=(*call.judged, judged))
        if answer is not None and call.withheld:
            return revise(call, would=answer, vetoes=(ERROR_BUDGET, *call.vetoes))
        if answer is not None:
            return revise(call, tier="semantic", answer=answer)
        call = revise(call, vetoes=(*call.vetoes, reason))
    return call


def threshold(call: Call) -> float:
    """The plan's similarity threshold, or what its samples taught; or the request's or that of a doubt where that is higher: a request can
    never lower it."""
    assert call.plan is not None and call.plan.cache is not None  # noqa: S101, PT018 -- there are no candidates without
    ours = call.plan.cache.similarity_threshold if call.threshold is None else call.threshold
    return max(ours, call.asked.controls.similarity_threshold or 0.0, call.raised)


def _judge(call: Call, candidate: Candidate) -> tuple[Stored | None, str]:
    """The answer, or the reason against it."""
    assert call.question is not None  # noqa: S101 -- likewise
    envelope = open_envelope(call, candidate.envelope)
    if envelope is None:
        return None, "foreign"
    if forgotten(call, envelope):
        return None, FORGOTTEN
    if not fresh_enough(call, envelope):
        return None, "stale"
    reason = veto(call.question, candidate.question)
    if reason is None and call.window is not None:
        reason = objection(call.window, envelope.chat, similarity=candidate.similarity, least=threshold(call))
    if reason is not None:
        return None, reason
    asked = envelope.asked_tokens - envelope.question_tokens + compared_tokens(call)
    return Stored(envelope, "semantic", max(0, asked), candidate.similarity, entry_id=candidate.entry_id), ""
