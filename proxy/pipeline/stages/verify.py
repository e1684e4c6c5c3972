"""Is a neighbour's answer the right answer? Ours, fresh, and the rules and the learned check agree.

Under `match: verified` the threshold is one of the verifier's score, and every candidate that is near or says the same is looked at; under
`match: cosine` it is one of the cosine, and the rules alone decide. Where the plan compares a window of the chat, its history must agree
first, and then the questions by themselves.
"""

from proxy.core.answers import Stored
from proxy.core.caching.envelope import Envelope
from proxy.core.formats.model_input import has_history
from proxy.core.ports import Candidate
from proxy.core.quality.error_budget import BELOW, ERROR_BUDGET
from proxy.core.verification.conversation import BEGUN, Chat, apart, objection, unpack, without_histories
from proxy.core.verification.equivalence import say_the_same
from proxy.core.verification.rules.registry import veto
from proxy.pipeline.accounting import compared_tokens
from proxy.pipeline.cache_access import FORGOTTEN, forgotten, fresh_enough, open_candidate, time_left
from proxy.pipeline.call import Call, Judged, revise
from proxy.pipeline.question_matching import Agreement, agree, compared, vectors
from proxy.pipeline.toolbox import Toolbox


async def verify(call: Call, tools: Toolbox) -> Call:
    """Answer with the best candidate that passes every check; note why the others did not. Raises ToolUnavailable where it
    takes a vector that cannot be had in time."""
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
            hit = _hit(call, candidate, envelope, agreement.score)
            if call.withheld:
                return revise(call, would=hit, vetoes=(ERROR_BUDGET, *call.vetoes))
            return revise(call, tier="semantic", answer=hit)
        call = revise(call, vetoes=(*call.vetoes, agreement.reason))
    return call.failed_open("verifier") if "unverified" in call.vetoes else call


def threshold(call: Call) -> float:
    """The plan's similarity threshold, or what its samples taught; or the request's or that of a doubt where that is higher: a request can
    never lower it."""
    assert call.plan is not None and call.plan.cache is not None  # noqa: S101, PT018 -- there are no candidates without
    ours = call.plan.cache.similarity_threshold if call.threshold is None else call.threshold
    return max(ours, call.asked.controls.similarity_threshold or 0.0, call.raised)


def verified(call: Call) -> bool:
    """Whether the verifier has the last word."""
    assert call.plan is not None and call.plan.cache is not None  # noqa: S101, PT018 -- likewise
    return call.plan.cache.match == "verified"


async def _judge(call: Call, candidate: Candidate, tools: Toolbox) -> tuple[Envelope | None, Agreement]:
    """What is stored, and whether the questions agree. What must not be read, or not any more, is not compared."""
    envelope = await open_candidate(call, tools, candidate)
    if envelope is None or (reason := _barred(call, envelope)):
        return None, Agreement(None, reason if envelope else "foreign")
    assert call.question is not None  # noqa: S101 -- likewise
    if call.window is None:
        if envelope.chat == BEGUN and not has_history(call.asked.messages):
            return envelope, Agreement(None, "history-length")
        return envelope, await _questions(call, call.question, candidate.question, candidate.similarity, tools)
    other = unpack(envelope.chat)
    if other is None:
        return None, Agreement(None, "foreign")
    against = objection(call.window, other, similarity=candidate.similarity)
    if against and not await _stands_alone(call, call.window, other, tools):
        return envelope, Agreement(None, against)
    similarity = await _cosine(call, call.window, other, candidate, tools)
    return envelope, await _questions(call, call.window.question, other.question, similarity, tools)


async def _stands_alone(call: Call, ours: Chat, theirs: Chat, tools: Toolbox) -> bool:
    """Whether both questions need nothing of what was said before, in words and in meaning."""
    told = without_histories(ours, theirs)
    return told is not None and call.vector is not None and apart(call.vector, await vectors(call, tools, *told))


async def _cosine(call: Call, ours: Chat, theirs: Chat, candidate: Candidate, tools: Toolbox) -> float:
    """Of the questions alone. Their vectors are made here, where nothing but the questions is left to be compared; seldom, since most
    neighbours are out by their history, and who asks the same again mostly uses the same words."""
    if ours.question == theirs.question or (verified(call) and say_the_same(ours.question, theirs.question)):
        return 1.0
    if len(ours.said) == 1 or (ours.alone and theirs.alone):
        return candidate.similarity
    one, other = await vectors(call, tools, ours.question, theirs.question)
    return float(one @ other)


def _barred(call: Call, envelope: Envelope) -> str:
    """Why an answer of ours must not be served, whatever the question; "" when it may."""
    if forgotten(call, envelope):
        return FORGOTTEN
    return "" if fresh_enough(call, envelope) else "stale"


async def _questions(call: Call, asked: str, stored: str, similarity: float, tools: Toolbox) -> Agreement:
    """Whether the one question may have the other's answer; `similarity`: the cosine of the two."""
    least = threshold(call)
    if verified(call):
        # Where thresholds are learned, what stays a little below is looked at as well, by its score.
        known_from = call.threshold - BELOW if call.basis and call.threshold is not None else None
        return await agree(asked, stored, tools, threshold=least, seconds=time_left(call), similarity=similarity, known_from=known_from)
    if reason := veto(asked, stored):
        return Agreement(None, reason)
    return Agreement(None, "" if call.window is None or similarity >= least else "question-similarity")


def _hit(call: Call, candidate: Candidate, envelope: Envelope, score: float | None) -> Stored:
    """The answer, with this request's prompt counted: it differs from the stored one's by what is compared."""
    asked = envelope.asked_tokens - envelope.question_tokens + compared_tokens(call)
    return Stored(envelope, "semantic", max(0, asked), candidate.similarity, score, candidate.entry_id)
