"""Find another stored question that fits about as well and has another answer.

Two neighbours with one answer confirm each other; two with different answers mean that the words of
the question leave open which of them is right. Measured on the FAQ stream: docs/verifier.md.
"""

import math

import orjson

from proxy.core.caching.envelope import Envelope
from proxy.core.errors import ToolUnavailable
from proxy.core.event_loop import run_off_loop
from proxy.core.ports import Candidate
from proxy.core.quality.answer_comparison import (
    MAX_EMBEDDED_LENGTH,
    MIN_RIGHT_SIMILARITY,
    MIN_RIGHT_WORD_SIMILARITY,
    extract_answer_text,
    find_difference,
    same_text,
)
from proxy.core.verification.conversation import was_asked_within_chat
from proxy.pipeline.cache_access import (
    cache_seconds_left,
    decode_candidate,
    is_fresh,
    is_invalidated,
    reading_seconds_left,
)
from proxy.pipeline.call import Call, get_tenant_id
from proxy.pipeline.question_matching import (
    UNVERIFIED_REASON,
    VERIFIER_REASON,
    WORDS_REASON,
    embed_texts,
    find_hopeless,
    match_questions,
)
from proxy.pipeline.toolbox import Toolbox

RIVAL_REASON = "rival"
# Of the odds' logarithm: what a rival may lack of twice the lead that the candidate has over the
# threshold. Half a unit; of .25 to 1 and leads once to three times all spare about as many wrong
# answers, and this costs the fewest right ones.
MAX_RIVAL_LAG = 0.5
# No rule tells these questions apart. Of two rivals neither may be served.
_OPEN_REASONS = frozenset({VERIFIER_REASON, WORDS_REASON, RIVAL_REASON})


async def has_rival(
    call: Call,
    tools: Toolbox,
    served: Candidate,
    *,
    answer: Envelope,
    score: float,
    threshold: float,
) -> bool:
    """Whether a neighbour with another answer than `answer` scores about as well as `score`.

    Also if one may, but cannot be read in time.
    """
    least = compute_rival_score(score, threshold)
    if least > 1:
        return (
            False  # equivalent texts: no other question fits as well, also while nobody can score
        )
    judged = {each.entry_id: each for each in call.candidate_verdicts}
    for other in call.candidates:
        known = judged.get(other.entry_id)
        if other.entry_id == served.entry_id or (known and known.reason not in _OPEN_REASONS):
            continue
        if known and known.score is not None and known.score < least:
            continue
        if await _scores_at_least(call, tools, other, least) and await _gives_other_answer(
            call, tools, other, answer
        ):
            return True
    return False


def compute_rival_score(score: float, threshold: float) -> float:
    """Return the score from which on a neighbour of a candidate with `score` is its rival.

    The narrower a candidate passes, the less a rival needs: nearly passing is enough for a
    candidate that only just does. Above 1, that is never, for a score of 1.
    """
    if score >= 1:
        return math.inf
    lead = _log_odds(score) - _log_odds(threshold)
    return 1 / (1 + math.exp(-(_log_odds(threshold) + 2 * lead - MAX_RIVAL_LAG)))


def _log_odds(share: float) -> float:
    """Return the logarithm of the odds, finite also for 0 and 1."""
    bounded = min(max(share, 1e-9), 1 - 1e-9)
    return math.log(bounded / (1 - bounded))


async def _scores_at_least(call: Call, tools: Toolbox, other: Candidate, least: float) -> bool:
    """Whether the verifier gives a neighbour that score and no rule objects; also if unread."""
    asked = call.window.question if call.window else call.question
    assert asked is not None  # noqa: S101 -- there are no candidates without
    tenant = get_tenant_id(call)
    if await find_hopeless(asked, other.question, tools, threshold=least, tenant=tenant):
        return False
    found = await match_questions(
        asked,
        other.question,
        tools,
        threshold=least,
        seconds=cache_seconds_left(call),
        reading_seconds=reading_seconds_left(call),
        tenant=tenant,
    )
    return found.reason in {"", UNVERIFIED_REASON}


async def _gives_other_answer(
    call: Call, tools: Toolbox, other: Candidate, answer: Envelope
) -> bool:
    """Whether a neighbour could be served by itself and says something else."""
    envelope = await decode_candidate(call, tools, other)
    if (
        envelope is None
        or is_invalidated(call, envelope)
        or not is_fresh(call, envelope)
        or was_asked_within_chat(envelope.chat)
    ):
        return False
    size = len(envelope.completion) + len(answer.completion)
    ours, theirs = await run_off_loop(size, _extract_texts, answer, envelope)
    if not (ours and theirs):
        return envelope.completion != answer.completion
    if same_text(ours, theirs):
        return False
    return not (
        await _are_near(call, tools, ours, theirs)
        and await run_off_loop(size, find_difference, ours, theirs) is None
    )


async def _are_near(call: Call, tools: Toolbox, one: str, other: str) -> bool:
    """Whether two answers are near by the vectors that found their questions."""
    assert call.plan is not None and call.plan.cache is not None  # noqa: S101, PT018 -- likewise
    embedder = tools.select_index(call.plan.cache).embedder
    least = MIN_RIGHT_SIMILARITY if embedder is tools.embedder else MIN_RIGHT_WORD_SIMILARITY
    texts = (one[:MAX_EMBEDDED_LENGTH], other[:MAX_EMBEDDED_LENGTH])
    try:
        ours, theirs = await embed_texts(call, tools, *texts, embedder=embedder)
    except ToolUnavailable:
        return False
    return float(ours @ theirs) >= least


def _extract_texts(*envelopes: Envelope) -> list[str]:
    return [extract_answer_text(orjson.loads(each.completion)) for each in envelopes]
