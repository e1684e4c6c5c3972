"""How two chats agree, in some forty numbers.

Each sentence of one chat is held against the most similar one of the other. A chat told again in
other words has a counterpart for each; a chat with another detail has one that is nearly the same;
what was said besides has none, and the question has nothing to do with it.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proxy.core.verification.chat_reading import (
    AFFIRMS,
    ANSWERS,
    ASKS,
    CONTENT,
    CORRECTS,
    DENIES,
    LOOSE_NUMBER,
    LOOSE_NUMBERS,
    NAME,
    NEGATED,
    NUMBER,
    ChatReading,
    SentenceReading,
    digest_word,
)
from proxy.core.verification.rules.antonyms import EXCLUDED_KEYS

Floats = NDArray[np.float64]
Words = frozenset[int]

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
    "rest_corrects": -1,  # 1 where the user may take something back in them
    "rest_linked": -1,  # share of their words that the rest of their chat has too
    "rest_linked_details": -1,
    "rest_near_question": -1,  # cosine
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

# Cosine less, where the other speaker said it.
_OTHER_SPEAKER_PENALTY = 0.15
# Cosine from which on sentences are about the same, and from which on they may say the same.
_MIN_ALIGNED_SIMILARITY, _MIN_SAME_SIMILARITY = 0.6, 0.72
# Share of the words (Dice 1945) from which on a sentence is the other, edited.
_MIN_EDITED_OVERLAP, _MIN_SUBSTITUTED_OVERLAP = 0.75, 0.6
# Shared part of the shorter sentence's content from which on a negation, or an opposite, is about
# the same thing; as for turns.
_MIN_OVERLAP_FOR_NEGATION, _MIN_OVERLAP_FOR_OPPOSITES = 0.6, 0.34
_CORE_SENTENCES = 3
# More of anything tells no more.
_MAX_COUNT = 4

_EXCLUDED_WORDS = {
    digest_word(key): frozenset(map(digest_word, others)) for key, others in EXCLUDED_KEYS.items()
}


@dataclass(frozen=True, slots=True, eq=False)
class ChatSummary:
    """What a chat names in all, and what each sentence does.

    `confirmed`: content that both speakers said. `keys` and `numbers_by`: content and numbers of
    each sentence. `asks`: content of the question.
    """

    chat: ChatReading
    words: Words
    content: Words
    numbers: Words
    loose_numbers: Words
    names: Words
    confirmed: Words
    digests: frozenset[int]
    keys: list[Words]
    numbers_by: list[Words]
    asks: Words


def summarize_chat(chat: ChatReading) -> ChatSummary:
    """Summarise a reading; linear in its words."""
    every = (*chat.sentences, chat.question)
    keys = [each.pick_words(CONTENT) for each in every]
    numbers = [each.pick_words(NUMBER) for each in every]
    told = _join(key for key, each in zip(keys, every, strict=True) if not each.is_reply)
    replied = _join(key for key, each in zip(keys, every, strict=True) if each.is_reply)
    return ChatSummary(
        chat=chat,
        words=_join(each.words for each in every),
        content=told | replied,
        numbers=_join(numbers),
        loose_numbers=_join(
            [LOOSE_NUMBERS[word] for word in each.pick_words(LOOSE_NUMBER)] for each in every
        ),
        names=_join(each.pick_words(NAME) for each in every),
        confirmed=told & replied,
        digests=frozenset(each.digest for each in chat.sentences),
        keys=keys[:-1],
        numbers_by=numbers[:-1],
        asks=keys[-1],
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """One chat beside the other.

    `best`: cosine of each sentence with its counterpart, `counterparts`: where that is, -1 in an
    empty chat. `is_literal`: the other chat has the sentence too. `near`: cosine with the question.
    """

    summary: ChatSummary
    other: ChatSummary
    best: NDArray[np.float32]
    counterparts: list[int]
    is_literal: list[bool]
    near: NDArray[np.float32]

    @property
    def sentences(self) -> tuple[SentenceReading, ...]:
        return self.summary.chat.sentences

    def list_rest(self) -> list[int]:
        """Return the sentences of which no counterpart says the same."""
        return [
            place
            for place, literal in enumerate(self.is_literal)
            if not literal
            and (
                self.counterparts[place] < 0
                or self.best[place] < _MIN_SAME_SIMILARITY
                or self.summary.numbers_by[place] - self.other.numbers
                or self._has_other_words(place)
                or _contradict(self.summary, self.other, place, self.counterparts[place])
            )
        ]

    def _has_other_words(self, place: int) -> bool:
        """Return whether a sentence and its counterpart each have content that the other lacks."""
        ours, theirs = self.summary.keys[place], self.other.keys[self.counterparts[place]]
        return bool(ours - theirs and theirs - ours)


def compute_chat_features(asked: ChatSummary, stored: ChatSummary) -> Floats:
    """Compute `CHAT_FEATURES`. Symmetric; quadratic in the sentences, of which there are few."""
    sides = _align_chats(asked, stored)
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


def says_more(chat: ChatSummary, other: ChatSummary) -> bool:
    """Return whether the chat says anything that the other does not say in the same order.

    Who says "make it red" and then "make it blue" wants it blue.
    """
    side, _ = _align_chats(chat, other)
    if side.list_rest():
        return True
    digests, reached = [each.digest for each in other.chat.sentences], 0
    for place, counterpart in enumerate(side.counterparts):
        literal = side.sentences[place].digest
        at = next(
            (where for where in range(reached, len(digests)) if digests[where] == literal),
            counterpart,
        )
        if at < reached:
            return True
        reached = at
    return False


def _join(sets: Iterable[Iterable[int]]) -> Words:
    return frozenset().union(*sets)


def _order(name: str, values: Iterable[float], *, names: tuple[str, str]) -> dict[str, float]:
    """Return the smaller and the larger of two values, under names that say so."""
    less, more = sorted(values)
    return {f"{name}_{names[0]}": float(less), f"{name}_{names[1]}": float(more)}


def _count(name: str, values: Iterable[int]) -> dict[str, float]:
    return _order(name, (min(_MAX_COUNT, each) for each in values), names=("fewer", "more"))


def _grade(name: str, values: Iterable[float]) -> dict[str, float]:
    return _order(name, values, names=("poorer", "richer"))


def _align_chats(asked: ChatSummary, stored: ChatSummary) -> tuple[_Side, _Side]:
    ours, theirs = asked.chat, stored.chat
    speakers = [
        np.array([each.is_reply for each in chat.sentences], dtype=bool) for chat in (ours, theirs)
    ]
    # So few that more threads of a linear algebra library would wait longer than they work.
    cosines = np.einsum(
        "id,jd->ij", ours.vectors[:-1], theirs.vectors[:-1]
    ) - _OTHER_SPEAKER_PENALTY * (speakers[0][:, None] != speakers[1][None, :])
    return _build_side(asked, stored, cosines), _build_side(stored, asked, cosines.T)


def _build_side(summary: ChatSummary, other: ChatSummary, cosines: NDArray[np.float32]) -> _Side:
    count = len(summary.chat.sentences)
    comparable = cosines.size > 0
    return _Side(
        summary,
        other,
        cosines.max(axis=1) if comparable else np.zeros(count, dtype=np.float32),
        cosines.argmax(axis=1).tolist() if comparable else [-1] * count,
        [each.digest in other.digests for each in summary.chat.sentences],
        summary.chat.vectors[:-1] @ summary.chat.vectors[-1],
    )


def _compare_questions(asked: ChatSummary, stored: ChatSummary) -> dict[str, float]:
    most = max(len(asked.asks), len(stored.asks))
    return {
        "question_cosine": float(asked.chat.vectors[-1] @ stored.chat.vectors[-1]),
        "question_words_shared": len(asked.asks & stored.asks) / most if most else 1.0,
    }


def _measure_alignment(sides: tuple[_Side, _Side]) -> dict[str, float]:
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


def _match_core(side: _Side) -> float:
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


def _measure_rests(sides: tuple[_Side, _Side], rests: tuple[list[int], ...]) -> dict[str, float]:
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
            "rest_corrects": float(any(map(_may_correct, sentences))),
            "rest_told_details": min(_MAX_COUNT, max(details)),
            "rest_linked": max(share for share, _ in links),
            "rest_linked_details": min(_MAX_COUNT, max(count for _, count in links)),
            "rest_near_question": max(near, default=0.0),
            "rest_words_of_question": min(_MAX_COUNT, max(shared, default=0)),
        }
    )


def _may_correct(sentences: Iterable[SentenceReading]) -> bool:
    return any(each.flags & CORRECTS and not each.is_reply for each in sentences)


def _list_told_details(side: _Side, rest: list[int]) -> Words:
    """Return numbers and names that the user told in the rest alone."""
    told = (side.sentences[place] for place in rest if not side.sentences[place].is_reply)
    return _join(each.pick_words(NUMBER | NAME) for each in told) - side.other.words


def _link_rest(side: _Side, rest: list[int]) -> tuple[float, int]:
    """Return what share of the rest's words other sentences have, and how many of its details."""
    left = set(rest)
    elsewhere = side.summary.asks | _join(
        keys for place, keys in enumerate(side.summary.keys) if place not in left
    )
    words = _join(side.summary.keys[place] for place in rest)
    details = _join(side.sentences[place].pick_words(NUMBER | NAME) for place in rest)
    return (
        len(words & elsewhere) / max(1, len(words)),
        len((details - side.other.content) & elsewhere),
    )


def _compare_aligned(sides: tuple[_Side, _Side]) -> dict[str, float]:
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
        counts["conflicts"] += _contradict(ours.summary, theirs.summary, place, other)
        here, there = ours.summary.keys[place], theirs.summary.keys[other]
        lost, gained = here - theirs.summary.content, there - ours.summary.content
        overlap = _compute_overlap(ours.sentences[place], theirs.sentences[other])
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


def _compute_overlap(one: SentenceReading, other: SentenceReading) -> float:
    common = (Counter(one.words) & Counter(other.words)).total()
    return 2 * common / max(1, len(one.words) + len(other.words))


def _contradict(ours: ChatSummary, theirs: ChatSummary, place: int, other: int) -> bool:
    """Return whether sentences about the same thing say different things of it."""
    if _differ_in_order(ours.chat.sentences[place], theirs.chat.sentences[other]):
        return True
    if ours.numbers_by[place] - theirs.numbers and theirs.numbers_by[other] - ours.numbers:
        return True
    flags, other_flags = ours.chat.sentences[place].flags, theirs.chat.sentences[other].flags
    if (flags & AFFIRMS and other_flags & DENIES) or (flags & DENIES and other_flags & AFFIRMS):
        return True
    here, there = ours.keys[place], theirs.keys[other]
    shared = len(here & there) / (min(len(here), len(there)) or 1)
    if (
        shared >= _MIN_OVERLAP_FOR_NEGATION
        and (flags ^ other_flags) & NEGATED
        and not (flags | other_flags) & DENIES
    ):
        return True
    return shared >= _MIN_OVERLAP_FOR_OPPOSITES and _has_opposite(
        here - theirs.content, there - ours.content
    )


def _differ_in_order(one: SentenceReading, other: SentenceReading) -> bool:
    """Return whether words of both come in another order: from Seattle to Oslo, or back."""
    telling = CONTENT | NAME | NUMBER
    shared = one.pick_words(telling) & other.pick_words(telling)
    here, there = ([word for word in each.words if word in shared] for each in (one, other))
    return here != there


def _has_opposite(here: Words, there: Words) -> bool:
    return any(not there.isdisjoint(_EXCLUDED_WORDS.get(word, ())) for word in here)


def _compare_details(asked: ChatSummary, stored: ChatSummary) -> dict[str, float]:
    both = ((asked, stored), (stored, asked))
    shared = len(asked.content & stored.content)
    lost = asked.content - stored.content
    gained = stored.content - asked.content
    opposites = sum(not gained.isdisjoint(_EXCLUDED_WORDS.get(word, ())) for word in lost)
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
    here, there = _join(asked.keys[at] for at in ours), _join(stored.keys[at] for at in theirs)
    return {
        "reply_literal": float(literal),
        "reply_overlap": 2 * len(here & there) / (len(here) + len(there))
        if here or there
        else float(literal),
        "reply_cosine": _compute_cosine(asked.chat.vectors[ours], stored.chat.vectors[theirs]),
    }


def list_last_reply(chat: ChatReading) -> list[int]:
    """Return the places of the last reply's sentences."""
    last = max((each.turn for each in chat.sentences if each.is_reply), default=-1)
    return [place for place, each in enumerate(chat.sentences) if each.turn == last]


def is_same_reply(asked: ChatReading, stored: ChatReading) -> bool:
    """Return whether the last replies say the same literally, small talk apart."""
    ours, theirs = (
        [chat.sentences[place].digest for place in list_last_reply(chat)]
        for chat in (asked, stored)
    )
    return ours == theirs
