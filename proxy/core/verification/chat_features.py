"""How two chats agree, in some forty numbers.

Each sentence of one chat is held against the most similar one of the other. A chat told again in
other words has a counterpart for each; a chat with another detail has one that is nearly the same;
what was said besides has none, and the question has nothing to do with it.
"""

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from proxy.core.verification.chat_alignment import (
    EXCLUDED_WORDS,
    ChatSide,
    ChatSummary,
    Words,
    align_chats,
    compute_overlap,
    contradict,
    is_same_reply,
    join_words,
    list_last_reply,
)
from proxy.core.verification.chat_reading import (
    AFFIRMS,
    ANSWERS,
    ASKS,
    CONTENT,
    CORRECTS,
    DENIES,
    INSTRUCTS,
    NAME,
    NEGATED,
    NUMBER,
    ChatReading,
    SentenceReading,
    digest_words,
)

Floats = NDArray[np.float64]

# With the sign that the weight of each may have, 0 for either: nothing speaks for a pair by being
# less alike. `fewer` and `more`, `poorer` and `richer`: of the chats that has less of it, and more.
CHAT_FEATURE_SIGNS = {
    "question_cosine": 1,
    "question_words_shared": 1,  # share of the content
    "best_mean_poorer": 1,  # mean cosine of a sentence with its counterpart
    "best_mean_richer": 1,
    "core_matched_poorer": 1,  # the same of the three sentences nearest to the question
    "core_matched_richer": 1,
    "opening_cosine": 1,  # of what the user said first
    "literal_poorer": 0,  # share of the sentences that both chats have
    "literal_richer": 0,
    "rest_fewer": -1,  # sentences without a counterpart that says the same
    "rest_more": -1,
    "rest_answers": -1,  # of those, answers to what the assistant asked
    "rest_told_details": -1,  # numbers and names that the user told in them
    "rest_statements_fewer": -1,  # those of the user that ask nothing
    "rest_statements_more": -1,
    "rest_matters": -1,  # 1 where something in them cannot be ignored
    "rest_linked": -1,  # share of their words that the rest of their chat has too
    "rest_linked_details": -1,
    "rest_near_question": -1,  # cosine
    "rest_near_others": -1,  # mean cosine with the nearest sentence of its chat that is no rest
    "rest_words_of_question": -1,
    "conflicts": -1,  # aligned sentences of which one denies the other, or has another number
    "edited_pairs": -1,  # aligned sentences with a word of content more or less
    "swapped_pairs": -1,  # aligned sentences with another word of content
    "substituted_pairs": -1,  # the same where neither word is in the other chat, nearly equal
    "substituted_words": -1,  # of aligned sentences, however alike they are
    "substituted_overlap": -1,
    "numbers_lost_fewer": -1,  # numbers that the other chat lacks
    "numbers_lost_more": -1,
    "names_lost_fewer": -1,
    "names_lost_more": -1,
    "words_kept_fewer": 1,  # share of the words that the other chat has too
    "words_kept_more": 1,
    "confirmed_lost_fewer": -1,  # words that both speakers said and the other chat lacks
    "confirmed_lost_more": -1,
    "opposites": -1,  # words that exclude one of the other chat
    "reply_literal": 1,  # the last reply
    "reply_overlap": 1,
    "reply_cosine": 1,
}
CHAT_FEATURES = tuple(CHAT_FEATURE_SIGNS)

# Cosine from which on sentences are about the same.
_MIN_ALIGNED_SIMILARITY = 0.6
# Share of the words (Dice 1945) from which on a sentence is the other, edited.
_MIN_EDITED_OVERLAP, _MIN_SUBSTITUTED_OVERLAP = 0.75, 0.6
_CORE_SENTENCES = 3
# Content of a reply that denies what was said before, at most; and of one that denies nothing, as
# "no problem" does.
_MAX_DENYING_WORDS = 1
_REASSURANCES = digest_words("problem worry trouble rush hurry wonder")
_NEGATIONS = digest_words("no not never")
_PRONOUNS = digest_words("he him his she her hers")
_PERSONS = digest_words(
    "husband wife partner boyfriend girlfriend son daughter boy girl child kid baby mother father "
    "mum dad gran granny grandmother grandfather brother sister uncle aunt cousin nephew niece "
    "friend neighbour flatmate boss manager colleague assistant tenant landlord teacher doctor"
)
# More of anything tells no more.
_MAX_COUNT = 4


def compute_chat_features(asked: ChatSummary, stored: ChatSummary) -> Floats:
    """Compute `CHAT_FEATURES`. Symmetric; quadratic in the sentences, of which there are few."""
    sides = align_chats(asked, stored)
    rests = tuple(side.list_rest() for side in sides)
    found = (
        _compare_questions(asked, stored)
        | _measure_alignment(sides)
        | _measure_rests(sides, rests)
        | _compare_aligned(sides)
        | _compare_details(asked, stored)
        | _compare_replies(asked, stored)
    )
    return np.array([found[name] for name in CHAT_FEATURES])


def _order(name: str, values: Iterable[float], *, names: tuple[str, str]) -> dict[str, float]:
    """Return the smaller and the larger of two values, under names that say so."""
    less, more = sorted(values)
    return {f"{name}_{names[0]}": float(less), f"{name}_{names[1]}": float(more)}


def _count(name: str, values: Iterable[int]) -> dict[str, float]:
    return _order(name, (min(_MAX_COUNT, each) for each in values), names=("fewer", "more"))


def _grade(name: str, values: Iterable[float]) -> dict[str, float]:
    return _order(name, values, names=("poorer", "richer"))


def _compare_questions(asked: ChatSummary, stored: ChatSummary) -> dict[str, float]:
    most = max(len(asked.asks), len(stored.asks))
    return {
        "question_cosine": float(asked.chat.vectors[-1] @ stored.chat.vectors[-1]),
        "question_words_shared": len(asked.asks & stored.asks) / most if most else 1.0,
    }


def _measure_alignment(sides: tuple[ChatSide, ChatSide]) -> dict[str, float]:
    # Chats without any history are alike.
    empty = float(not any(side.sentences for side in sides))
    means = [float(side.best.mean()) if side.sentences else empty for side in sides]
    cores = [_match_core(side) if side.sentences else empty for side in sides]
    literal = [float(np.mean(side.is_literal)) if side.sentences else empty for side in sides]
    ours, theirs = (_embed_opening(side.summary.chat) for side in sides)
    opening = _compute_cosine(ours, theirs) if len(ours) and len(theirs) else empty
    return (
        _grade("best_mean", means)
        | _grade("core_matched", cores)
        | _grade("literal", literal)
        | {"opening_cosine": opening}
    )


def _match_core(side: ChatSide) -> float:
    """Return how well the sentences nearest to the question are matched."""
    nearest = np.argsort(-side.near, kind="stable")[:_CORE_SENTENCES]
    return float(side.best[nearest].mean())


def _embed_opening(chat: ChatReading) -> NDArray[np.float32]:
    """Return the vectors of the user's first turn."""
    first = next((each.turn for each in chat.sentences if not each.is_reply), -1)
    return chat.vectors[[place for place, s in enumerate(chat.sentences) if s.turn == first]]


def _compute_cosine(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    """Return the cosine of the sums of two lists of vectors."""
    one, other = ours.sum(axis=0), theirs.sum(axis=0)
    return float(one @ other) / (float(np.linalg.norm(one) * np.linalg.norm(other)) or 1.0)


def _measure_rests(
    sides: tuple[ChatSide, ChatSide], rests: tuple[list[int], ...]
) -> dict[str, float]:
    both = list(zip(sides, rests, strict=True))
    sentences = [[side.sentences[place] for place in rest] for side, rest in both]
    statements = [
        sum(not each.flags & ASKS and not each.is_reply for each in some) for some in sentences
    ]
    answers = [sum(bool(each.flags & ANSWERS) for each in some) for some in sentences]
    details = [len(_list_told_details(side, rest)) for side, rest in both]
    links = [_link_rest(side, rest) for side, rest in both]
    near = [float(side.near[place]) for side, rest in both for place in rest]
    asked = sides[0].summary.asks | sides[1].summary.asks
    shared = [len(side.summary.keys[place] & asked) for side, rest in both for place in rest]
    return (
        _count("rest", map(len, rests))
        | _count("rest_statements", statements)
        | {
            "rest_answers": min(_MAX_COUNT, max(answers)),
            "rest_matters": float(
                any(map(_may_matter, sentences))
                or any(_tells_who_is_meant(side, rest) for side, rest in both)
            ),
            "rest_told_details": min(_MAX_COUNT, max(details)),
            "rest_linked": max(share for share, _ in links),
            "rest_linked_details": min(_MAX_COUNT, max(count for _, count in links)),
            "rest_near_question": max(near, default=0.0),
            "rest_near_others": max(_compare_rest(side, rest) for side, rest in both),
            "rest_words_of_question": min(_MAX_COUNT, max(shared, default=0)),
        }
    )


def _may_matter(sentences: Iterable[SentenceReading]) -> bool:
    """Return whether any of these may change what was said, answer it, or say how to answer."""
    return any(
        _denies_what_was_said(each)
        if each.is_reply
        else each.flags & (CORRECTS | INSTRUCTS)
        or (each.flags & ANSWERS and each.flags & (AFFIRMS | DENIES))
        for each in sentences
    )


def _tells_who_is_meant(side: ChatSide, rest: list[int]) -> bool:
    """Return whether the question is about somebody whom the user named in the rest alone."""
    if _PRONOUNS.isdisjoint(side.summary.chat.question.words):
        return False
    named = [not _PERSONS.isdisjoint(each.words) for each in side.sentences]
    left = set(rest)
    return any(named[place] and not side.sentences[place].is_reply for place in rest) and not any(
        person for place, person in enumerate(named) if place not in left
    )


def _denies_what_was_said(reply: SentenceReading) -> bool:
    """Return whether a reply denies, and names too little to be about anything else."""
    content = reply.pick_words(CONTENT) - _NEGATIONS
    return bool(
        reply.flags & (NEGATED | DENIES)
        and len(content) <= _MAX_DENYING_WORDS
        and content.isdisjoint(_REASSURANCES)
    )


def _list_told_details(side: ChatSide, rest: list[int]) -> Words:
    """Return numbers and names that the user told in the rest alone."""
    told = (side.sentences[place] for place in rest if not side.sentences[place].is_reply)
    return join_words(each.pick_words(NUMBER | NAME) for each in told) - side.other.words


def _link_rest(side: ChatSide, rest: list[int]) -> tuple[float, int]:
    """Return what share of the rest's words other sentences have, and how many of its details."""
    left = set(rest)
    elsewhere = side.summary.asks | join_words(
        keys for place, keys in enumerate(side.summary.keys) if place not in left
    )
    words = join_words(side.summary.keys[place] for place in rest)
    details = join_words(side.sentences[place].pick_words(NUMBER | NAME) for place in rest)
    return (
        len(words & elsewhere) / max(1, len(words)),
        len((details - side.other.content) & elsewhere),
    )


def _compare_rest(side: ChatSide, rest: list[int]) -> float:
    """Return how near the rest is to what else was said in its chat, 1 if that is nothing."""
    left = set(rest)
    others = [place for place in range(len(side.sentences)) if place not in left]
    if not (rest and others):
        return float(bool(rest))
    vectors = side.summary.chat.vectors
    cosines = np.einsum("id,jd->ij", vectors[rest], vectors[others])
    return float(cosines.max(axis=1).mean())


def _compare_aligned(sides: tuple[ChatSide, ChatSide]) -> dict[str, float]:
    """Count what differs within sentences that are each other's counterpart."""
    ours, theirs = sides
    counts = Counter[str]()
    most = 0.0
    for place, other in enumerate(ours.counterparts):
        if (
            other < 0
            or theirs.counterparts[other] != place
            or ours.is_literal[place]
            or theirs.is_literal[other]
            or ours.best[place] < _MIN_ALIGNED_SIMILARITY
        ):
            continue
        counts["conflicts"] += contradict(ours.summary, theirs.summary, place, other)
        here, there = ours.summary.keys[place], theirs.summary.keys[other]
        lost, gained = here - theirs.summary.content, there - ours.summary.content
        overlap = compute_overlap(ours.sentences[place], theirs.sentences[other])
        edited = overlap >= _MIN_EDITED_OVERLAP
        counts["swapped_pairs"] += edited and bool(here - there and there - here)
        if lost and gained:
            counts["substituted_words"] += min(len(lost), len(gained))
            counts["substituted_pairs"] += overlap >= _MIN_SUBSTITUTED_OVERLAP
            most = max(most, overlap)
        elif edited and here != there:
            counts["edited_pairs"] += 1
    names = ("conflicts", "edited_pairs", "swapped_pairs", "substituted_pairs", "substituted_words")
    return {name: min(_MAX_COUNT, counts[name]) for name in names} | {"substituted_overlap": most}


def _compare_details(asked: ChatSummary, stored: ChatSummary) -> dict[str, float]:
    both = ((asked, stored), (stored, asked))
    shared = len(asked.content & stored.content)
    lost = asked.content - stored.content
    gained = stored.content - asked.content
    opposites = sum(not gained.isdisjoint(EXCLUDED_WORDS.get(word, ())) for word in lost)
    return (
        _count(
            "numbers_lost",
            (len(one.numbers - two.numbers - two.loose_numbers) for one, two in both),
        )
        | _count("names_lost", (len(one.names - two.words) for one, two in both))
        | _count("confirmed_lost", (len(one.confirmed - two.content) for one, two in both))
        | _order(
            "words_kept",
            (shared / max(1, len(one.content)) for one, _ in both),
            names=("fewer", "more"),
        )
        | {"opposites": min(_MAX_COUNT, opposites)}
    )


def _compare_replies(asked: ChatSummary, stored: ChatSummary) -> dict[str, float]:
    """Compare the last replies, without small talk."""
    ours, theirs = list_last_reply(asked.chat), list_last_reply(stored.chat)
    if not (ours and theirs):
        same = float(not ours and not theirs)
        return {"reply_literal": same, "reply_overlap": same, "reply_cosine": same}
    literal = is_same_reply(asked.chat, stored.chat)
    here, there = (
        join_words(asked.keys[at] for at in ours),
        join_words(stored.keys[at] for at in theirs),
    )
    return {
        "reply_literal": float(literal),
        "reply_overlap": 2 * len(here & there) / (len(here) + len(there))
        if here or there
        else float(literal),
        "reply_cosine": _compute_cosine(asked.chat.vectors[ours], stored.chat.vectors[theirs]),
    }
