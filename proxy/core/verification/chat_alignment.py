"""Two chats beside each other: which sentence of one says what which of the other says.

Each sentence is held against the most similar one of the other chat. What has no counterpart that
says the same is the rest.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proxy.core.verification.chat_order import differ_in_order
from proxy.core.verification.chat_reading import (
    AFFIRMS,
    CONTENT,
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

Words = frozenset[int]

# Cosine less, where the other speaker said it.
_OTHER_SPEAKER_PENALTY = 0.15
# Cosine from which on sentences may say the same.
_MIN_SAME_SIMILARITY = 0.72
# Shared part of the shorter sentence's content from which on a negation, or an opposite, is about
# the same thing; as for turns.
_MIN_OVERLAP_FOR_NEGATION, _MIN_OVERLAP_FOR_OPPOSITES = 0.6, 0.34

EXCLUDED_WORDS = {
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
    told = join_words(key for key, each in zip(keys, every, strict=True) if not each.is_reply)
    replied = join_words(key for key, each in zip(keys, every, strict=True) if each.is_reply)
    return ChatSummary(
        chat=chat,
        words=join_words(each.words for each in every),
        content=told | replied,
        numbers=join_words(numbers),
        loose_numbers=join_words(
            [LOOSE_NUMBERS[word] for word in each.pick_words(LOOSE_NUMBER)] for each in every
        ),
        names=join_words(each.pick_words(NAME) for each in every),
        confirmed=told & replied,
        digests=frozenset(each.digest for each in chat.sentences),
        keys=keys[:-1],
        numbers_by=numbers[:-1],
        asks=keys[-1],
    )


@dataclass(frozen=True, slots=True, eq=False)
class ChatSide:
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
                or contradict(self.summary, self.other, place, self.counterparts[place])
            )
        ]

    def _has_other_words(self, place: int) -> bool:
        """Return whether a sentence and its counterpart each have content that the other lacks."""
        ours, theirs = self.summary.keys[place], self.other.keys[self.counterparts[place]]
        return bool(ours - theirs and theirs - ours)


def says_more(chat: ChatSummary, other: ChatSummary) -> bool:
    """Return whether the chat says anything that the other does not say in the same order.

    Who says "make it red" and then "make it blue" wants it blue.
    """
    side, _ = align_chats(chat, other)
    if side.list_rest() or any(
        keys - other.content
        for keys, literal in zip(chat.keys, side.is_literal, strict=True)
        if not literal
    ):
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


def join_words(sets: Iterable[Iterable[int]]) -> Words:
    return frozenset().union(*sets)


def align_chats(asked: ChatSummary, stored: ChatSummary) -> tuple[ChatSide, ChatSide]:
    ours, theirs = asked.chat, stored.chat
    speakers = [
        np.array([each.is_reply for each in chat.sentences], dtype=bool) for chat in (ours, theirs)
    ]
    # So few that more threads of a linear algebra library would wait longer than they work.
    cosines = np.einsum(
        "id,jd->ij", ours.vectors[:-1], theirs.vectors[:-1]
    ) - _OTHER_SPEAKER_PENALTY * (speakers[0][:, None] != speakers[1][None, :])
    return _build_side(asked, stored, cosines), _build_side(stored, asked, cosines.T)


def _build_side(summary: ChatSummary, other: ChatSummary, cosines: NDArray[np.float32]) -> ChatSide:
    count = len(summary.chat.sentences)
    comparable = cosines.size > 0
    return ChatSide(
        summary,
        other,
        cosines.max(axis=1) if comparable else np.zeros(count, dtype=np.float32),
        cosines.argmax(axis=1).tolist() if comparable else [-1] * count,
        [each.digest in other.digests for each in summary.chat.sentences],
        summary.chat.vectors[:-1] @ summary.chat.vectors[-1],
    )


def contradict(ours: ChatSummary, theirs: ChatSummary, place: int, other: int) -> bool:
    """Return whether sentences about the same thing say different things of it."""
    if differ_in_order(ours.chat.sentences[place], theirs.chat.sentences[other]):
        return True
    if ours.numbers_by[place] - theirs.numbers and theirs.numbers_by[other] - ours.numbers:
        return True
    flags, other_flags = ours.chat.sentences[place].flags, theirs.chat.sentences[other].flags
    if (flags & AFFIRMS and other_flags & DENIES) or (flags & DENIES and other_flags & AFFIRMS):
        return True
    here, there = ours.keys[place], theirs.keys[other]
    shared = len(here & there) / (min(len(here), len(there)) or 1)
    if (
        _is_negative(flags) != _is_negative(other_flags)
        and max(shared, compute_overlap(ours.chat.sentences[place], theirs.chat.sentences[other]))
        >= _MIN_OVERLAP_FOR_NEGATION
    ):
        return True
    return shared >= _MIN_OVERLAP_FOR_OPPOSITES and _has_opposite(
        here - theirs.content, there - ours.content
    )


def compute_overlap(one: SentenceReading, other: SentenceReading) -> float:
    """Return what share of the words of both is common to them (Dice 1945)."""
    common = (Counter(one.words) & Counter(other.words)).total()
    return 2 * common / max(1, len(one.words) + len(other.words))


def _is_negative(flags: int) -> bool:
    return bool(flags & (NEGATED | DENIES))


def _has_opposite(here: Words, there: Words) -> bool:
    return any(not there.isdisjoint(EXCLUDED_WORDS.get(word, ())) for word in here)


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
