"""Decide whether a candidate's answer fits: valid, fresh, and accepted by rules and verifier.

Under `match: verified` the threshold applies to the verifier's score, and every candidate that is
near or equivalent is checked; under `match: cosine` it applies to the cosine, and the rules alone
decide. If the plan compares a window of the conversation, the histories must match first, then the
questions by themselves.
"""

import re
import time
from collections.abc import Sequence

import orjson

from plans.strictness import get_strict_threshold
from proxy.core.answers import CachedAnswer
from proxy.core.caching.envelope import Envelope
from proxy.core.errors import ToolUnavailable
from proxy.core.event_loop import MAX_INLINE_BYTES
from proxy.core.formats.model_input import has_history
from proxy.core.ports import Candidate
from proxy.core.quality.answer_comparison import extract_answer_text
from proxy.core.quality.error_budget import ERROR_BUDGET, THRESHOLD_PROBE_MARGIN
from proxy.core.types import Message
from proxy.core.verification.chat_decision import ComparedChat
from proxy.core.verification.chat_reading import ChatReading
from proxy.core.verification.conversation import (
    HISTORY_MARKER,
    ChatTurns,
    are_windows_alike,
    is_unrelated,
    list_ignorable_histories,
    select_window,
    unpack_chat,
    unpack_chat_reading,
    veto_history,
)
from proxy.core.verification.small_talk import strip_small_talk
from proxy.pipeline.accounting import count_compared_tokens
from proxy.pipeline.cache_access import (
    INVALIDATED_REASON,
    cache_seconds_left,
    decode_candidate,
    is_fresh,
    is_invalidated,
    reading_seconds_left,
)
from proxy.pipeline.call import Call, CandidateVerdict, evolve, get_tenant_id
from proxy.pipeline.question_matching import (
    UNVERIFIED_REASON,
    MatchResult,
    embed_texts,
    find_hopeless,
    find_objection,
    match_questions,
)
from proxy.pipeline.rival_answers import RIVAL_REASON, has_rival
from proxy.pipeline.toolbox import Toolbox


async def verify(call: Call, tools: Toolbox) -> Call:
    """Answer with the best candidate that passes every check; record why the others did not.

    Raises ToolUnavailable if a needed embedding is not available in time.
    """
    call = evolve(call, reading_deadline=time.monotonic() + MAX_READING_WAIT_SECONDS)
    asked_chat = _AskedChat(call, tools)
    for candidate in call.candidates:
        if not uses_verifier(call) and candidate.similarity < effective_threshold(call):
            break
        envelope, agreement = await _check_candidate(call, candidate, tools, asked_chat)
        if envelope and await _is_contested(call, candidate, envelope, agreement, tools):
            agreement = MatchResult(agreement.score, RIVAL_REASON)
        judged = CandidateVerdict(
            entry_id=candidate.entry_id,
            question=candidate.question,
            similarity=candidate.similarity,
            score=agreement.score,
            reason=agreement.reason,
        )
        call = evolve(call, candidate_verdicts=(*call.candidate_verdicts, judged))
        if envelope is not None and not agreement.reason:
            hit = _build_hit(call, candidate, envelope, agreement.score)
            if call.semantic_disabled:
                return evolve(call, shadow_hit=hit, vetoes=(ERROR_BUDGET, *call.vetoes))
            return evolve(call, tier="semantic", answer=hit)
        call = evolve(call, vetoes=(*call.vetoes, agreement.reason))
    return call.add_failure("verifier") if UNVERIFIED_REASON in call.vetoes else call


def effective_threshold(call: Call) -> float:
    """Return the highest of the plan's or learned threshold, the request's and the feedback's."""
    assert call.plan is not None and call.plan.cache is not None  # noqa: S101, PT018 -- there are no candidates without
    ours = call.plan.cache.threshold if call.learned_threshold is None else call.learned_threshold
    # A request can raise the threshold, never lower it.
    return max(
        ours, call.chat_request.cache_controls.similarity_threshold or 0.0, call.feedback_threshold
    )


def uses_verifier(call: Call) -> bool:
    """Whether the verifier decides."""
    assert call.plan is not None and call.plan.cache is not None  # noqa: S101, PT018 -- likewise
    return call.plan.cache.match == "verified"


async def _check_candidate(
    call: Call, candidate: Candidate, tools: Toolbox, asked_chat: "_AskedChat"
) -> tuple[Envelope | None, MatchResult]:
    """Return the candidate's envelope and whether its question matches.

    A foreign, invalidated or stale candidate is not compared: its envelope is None. So is that of
    one that is hopeless by its words, which is not even opened.
    """
    if uses_verifier(call) and (hopeless := await _find_hopeless(call, candidate, tools)):
        return None, hopeless
    envelope = await decode_candidate(call, tools, candidate)
    if envelope is None or (reason := _find_bar(call, envelope)):
        return None, MatchResult(None, reason if envelope else "foreign")
    assert call.question is not None  # noqa: S101 -- likewise
    if call.window is None:
        if envelope.chat == HISTORY_MARKER and not has_history(call.chat_request.messages):
            return envelope, MatchResult(None, "history-length")
        return envelope, await _compare_questions(call, call.question, candidate.question, tools)
    other = unpack_chat(envelope.chat)
    if other is None:
        return None, MatchResult(None, "foreign")
    return envelope, await asked_chat.compare(other, candidate, envelope)


async def _is_contested(
    call: Call, candidate: Candidate, envelope: Envelope, agreement: MatchResult, tools: Toolbox
) -> bool:
    """Whether another neighbour's answer fits about as well as that of one that matches.

    Not asked within a chat, where questions depend on what was said before, nor where cosines
    decide.
    """
    if agreement.reason or agreement.score is None or has_history(call.chat_request.messages):
        return False
    threshold = effective_threshold(call)
    return await has_rival(
        call, tools, candidate, answer=envelope, score=agreement.score, threshold=threshold
    )


async def _are_windows_alike(
    call: Call, theirs: ChatTurns, candidate: Candidate, tools: Toolbox
) -> bool:
    """Whether chats whose turns agree one by one are about the same thing."""
    ours = call.window
    assert ours is not None and call.plan is not None and call.plan.cache is not None  # noqa: S101, PT018 -- likewise
    if len(ours.user_turns) == 1 or ours.user_turns == theirs.user_turns:
        return True
    by_model = tools.select_index(call.plan.cache).embedder is tools.embedder
    if by_model and not (ours.is_embedded_alone or theirs.is_embedded_alone):
        return are_windows_alike(candidate.similarity)
    texts = [select_window(each, call.plan.cache.window) for each in (ours, theirs)]
    one, other = await embed_texts(call, tools, *texts)
    return are_windows_alike(float(one @ other))


# For readings of other requests, from the first comparison on: under load a miss that did not wait
# is worth more than a hit that did. A reading that finds nobody before it runs anyway.
MAX_READING_WAIT_SECONDS = 0.015
# Small talk is whole sentences: in a single one there is none.
_INNER_SENTENCE_END = re.compile(r"[.!?\n].*\w", re.DOTALL)


class _AskedChat:
    """Compares the chat of the call; it is read once, when a stored one differs in its words."""

    def __init__(self, call: Call, tools: Toolbox) -> None:
        self._call, self._tools = call, tools
        self._reading: ChatReading | None = None
        self._is_read = False

    async def compare(
        self, theirs: ChatTurns, candidate: Candidate, envelope: Envelope
    ) -> MatchResult:
        """Decide whether a stored chat matches: its history, then its question by itself."""
        call, tools, ours = self._call, self._tools, self._call.window
        assert ours is not None  # noqa: S101 -- likewise
        against = veto_history(ours, theirs)
        if against is None and not await _are_windows_alike(call, theirs, candidate, tools):
            against = "history"
        if against and not await _is_standalone(call, ours, theirs, tools):
            against = await self.veto_other_words(theirs, envelope, against)
            if against:
                return MatchResult(None, against)
        agreement = await _compare_questions(call, ours.question, theirs.question, tools)
        if agreement.reason or uses_verifier(call):
            return agreement
        similarity = await _question_similarity(call, ours, theirs, candidate, tools)
        if similarity < effective_threshold(call):
            return MatchResult(None, "question-similarity")
        return agreement

    async def veto_other_words(
        self, theirs: ChatTurns, envelope: Envelope, reason: str
    ) -> str | None:
        """Return why the stored chat's answer must not be served here, or None.

        `reason`: why its turns do not agree one by one, which stands if nobody can tell more.
        """
        call, verifier = self._call, self._tools.chat_verifier
        if (
            verifier is None
            or call.window is None
            or not call.window.has_history
            or not uses_verifier(call)
            or len(envelope.completion) > MAX_INLINE_BYTES
        ):
            return reason
        try:
            ours, stored = await self._read(), await self._read_stored(theirs, envelope)
            if ours is None or stored is None:
                return reason
            answer = extract_answer_text(orjson.loads(envelope.completion))
            left = cache_seconds_left(call)
            return await self._tools.breakers["chats"].run(
                verifier.veto_other_words(
                    ComparedChat(call.window.question, ours),
                    ComparedChat(theirs.question, stored),
                    answer,
                    ignores_asides=effective_threshold(call) < get_strict_threshold(),
                    within=left,
                ),
                seconds=left,
            )
        except ToolUnavailable:
            return reason

    async def _read(self) -> ChatReading | None:
        if not self._is_read:
            self._reading = await self._read_messages(self._call.chat_request.messages)
            self._is_read = True
        return self._reading

    async def _read_stored(self, theirs: ChatTurns, envelope: Envelope) -> ChatReading | None:
        """Return the reading in the entry; a chat without history is read from its question."""
        if theirs.has_history:
            return unpack_chat_reading(envelope.chat)
        return await self._read_messages([{"role": "user", "content": theirs.question}])

    async def _read_messages(self, messages: Sequence[Message]) -> ChatReading | None:
        verifier, left = self._tools.chat_verifier, cache_seconds_left(self._call)
        assert verifier is not None  # noqa: S101 -- nothing is read without
        return await self._tools.breakers["chats"].run(
            verifier.read_chat(messages, within=left), seconds=left
        )


async def _is_standalone(call: Call, ours: ChatTurns, theirs: ChatTurns, tools: Toolbox) -> bool:
    """Whether both questions are independent of their histories, in words and in meaning."""
    told = list_ignorable_histories(ours, theirs)
    if not told:
        return told is not None
    question, *histories = await embed_texts(call, tools, ours.question, *told)
    return is_unrelated(question, histories)


async def _question_similarity(
    call: Call, ours: ChatTurns, theirs: ChatTurns, candidate: Candidate, tools: Toolbox
) -> float:
    """Return the cosine of the questions alone."""
    if ours.question == theirs.question:
        return 1.0
    if len(ours.user_turns) == len(theirs.user_turns) == 1 or (
        ours.is_embedded_alone and theirs.is_embedded_alone
    ):
        return candidate.similarity
    # Embedded here, where only the questions are left to compare; rarely, since most candidates are
    # rejected by their history, and who asks again mostly uses the same words.
    one, other = await embed_texts(call, tools, ours.question, theirs.question)
    return float(one @ other)


async def _find_hopeless(call: Call, candidate: Candidate, tools: Toolbox) -> MatchResult | None:
    """Return the mismatch that the words of both questions tell, whatever was said before them."""
    asked, stored = call.question, candidate.question
    assert asked is not None  # noqa: S101 -- likewise
    if call.window is not None:
        asked = call.window.question
        if _INNER_SENTENCE_END.search(stored):
            stored = strip_small_talk(stored) or stored
    return await find_hopeless(
        asked, stored, tools, threshold=_least_known_score(call), tenant=get_tenant_id(call)
    )


def _least_known_score(call: Call) -> float:
    """Return the score from which on it must be known exactly: the threshold, or what probes it."""
    if call.cohort and call.learned_threshold is not None:
        return min(effective_threshold(call), call.learned_threshold - THRESHOLD_PROBE_MARGIN)
    return effective_threshold(call)


def _find_bar(call: Call, envelope: Envelope) -> str:
    """Return why the candidate must not be served, whatever its question; "" if it may."""
    if is_invalidated(call, envelope):
        return INVALIDATED_REASON
    return "" if is_fresh(call, envelope) else "stale"


async def _compare_questions(call: Call, asked: str, stored: str, tools: Toolbox) -> MatchResult:
    """Decide whether the questions match; by rules alone where cosines decide besides."""
    if uses_verifier(call):
        return await match_questions(
            asked,
            stored,
            tools,
            threshold=effective_threshold(call),
            seconds=cache_seconds_left(call),
            reading_seconds=reading_seconds_left(call),
            tenant=get_tenant_id(call),
        )
    return MatchResult(None, find_objection(asked, stored, tools, match="cosine") or "")


def _build_hit(
    call: Call, candidate: Candidate, envelope: Envelope, score: float | None
) -> CachedAnswer:
    """Build the hit, with the prompt tokens of this request."""
    # Its prompt differs from the stored one only in the compared part.
    asked = envelope.asked_tokens - envelope.question_tokens + count_compared_tokens(call)
    return CachedAnswer(
        envelope, "semantic", max(0, asked), candidate.similarity, score, candidate.entry_id
    )
