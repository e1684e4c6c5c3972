"""Is a neighbour's answer the right answer? Ours, fresh, and the rules and the learned check agree.

Under `match: verified` the threshold is one of the verifier's score, and every candidate that is near or says the same is looked at; under
`match: cosine` it is one of the cosine, and the rules alone decide.
"""

from proxy.core.agree import Agreement, agree, compared
from proxy.core.envelope import Envelope
from proxy.core.exchange import Call, Judged, Stored, revise
from proxy.core.ports import Candidate, Toolbox
from proxy.core.reading import fresh_enough, open_envelope, time_left
from proxy.core.tokens import count_text, encoding_for
from proxy.core.verify.verdict import veto


async def verify(call: Call, tools: Toolbox) -> Call:
    """Answer with the best candidate that passes every check; note why the others did not."""
    for candidate in call.candidates:
        if not verified(call) and candidate.similarity < threshold(call):
            break
        if not compared(call.question or "", candidate.question, candidate.similarity):
            continue
        envelope, agreement = await _judge(call, candidate, tools)
        judged = Judged(
            entry_id=candidate.entry_id,
            question=candidate.question,
            similarity=candidate.similarity,
            score=agreement.score,
            reason=agreement.reason,
        )
        call = revise(call, judged=(*call.judged, judged))
        if envelope is not None and not agreement.reason:
            return revise(call, tier="semantic", answer=_hit(call, candidate, envelope, agreement.score))
        call = revise(call, vetoes=(*call.vetoes, agreement.reason))
    return call.failed_open("verifier") if "unverified" in call.vetoes else call


def threshold(call: Call) -> float:
    """The plan's similarity threshold, or the request's where that is higher: a request can never lower it."""
    assert call.plan is not None and call.plan.cache is not None  # noqa: S101, PT018 -- there are no candidates without
    return max(call.plan.cache.similarity_threshold, call.asked.controls.similarity_threshold or 0.0)


def verified(call: Call) -> bool:
    """Whether the verifier has the last word."""
    assert call.plan is not None and call.plan.cache is not None  # noqa: S101, PT018 -- likewise
    return call.plan.cache.match == "verified"


async def _judge(call: Call, candidate: Candidate, tools: Toolbox) -> tuple[Envelope | None, Agreement]:
    """What is stored, and whether the questions agree. What must not be read, or not any more, is not compared."""
    assert call.question is not None  # noqa: S101 -- likewise
    envelope = open_envelope(call, candidate.envelope)
    if envelope is None:
        return None, Agreement(None, "foreign")
    if not fresh_enough(call, envelope):
        return None, Agreement(None, "stale")
    if verified(call):
        return envelope, await agree(
            call.question,
            candidate.question,
            tools,
            threshold=threshold(call),
            seconds=time_left(call),
            similarity=candidate.similarity,
        )
    return envelope, Agreement(None, veto(call.question, candidate.question) or "")


def _hit(call: Call, candidate: Candidate, envelope: Envelope, score: float | None) -> Stored:
    """The answer, with this request's prompt counted: it differs from the stored one's."""
    assert call.question is not None  # noqa: S101 -- likewise
    encoding, _ = encoding_for(call.target.model)
    asked = envelope.asked_tokens - envelope.question_tokens + count_text(call.question, encoding)
    return Stored(envelope, "semantic", max(0, asked), candidate.similarity, score, candidate.entry_id)
