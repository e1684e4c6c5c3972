"""Decide whether the answer at the end of one chat may be served at the end of another.

For chats that `conversation` refuses because their earlier turns differ. Either both say the same
in other words, the one asked with or without things besides; or the stored question began its chat
and the one asked does not need its own. The questions themselves are compared elsewhere.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proxy.core.verification.chat_alignment import (
    ChatSummary,
    is_same_reply,
    says_more,
    summarize_chat,
)
from proxy.core.verification.chat_features import CHAT_FEATURES, compute_chat_features
from proxy.core.verification.chat_reading import (
    CONTENT,
    FOREIGN,
    FORMAL,
    INSTRUCTS,
    NAME,
    NUMBER,
    ChatReading,
    digest_word,
)
from proxy.core.verification.parsed_text import canonicalize_word, parse_text_memoized
from proxy.core.verification.standalone import accepts_reply, is_phrased_standalone

Floats = NDArray[np.float64]
# Returns by how much the evidence of these features exceeds what serving takes.
WeighFeatures = Callable[[Floats], float]

# A longer answer is not read.
MAX_ANSWER_CHARACTERS = 16_384
# Share of a standalone question's content that its chat may have mentioned.
_MAX_MENTIONED_SHARE = 0.45
# Words of content that an answer may take up of a chat which its question does not need.
_MAX_TAKEN_UP_WORDS = 1

# Features that rule a pair out whatever else speaks for it: one of the chats must say all that the
# other says.
_VETOES = {
    "swapped_pairs": "history-edited",
    "substituted_pairs": "history-edited",
    "numbers_lost_fewer": "history-numbers",
    "names_lost_fewer": "history-names",
    "substituted_words": "history",
    "conflicts": "history",
    "confirmed_lost_fewer": "history",
    "rest_fewer": "history",
    "rest_matters": "history",
}
_VETO_PLACES = [(CHAT_FEATURES.index(name), reason) for name, reason in _VETOES.items()]
_STATEMENTS_PLACE = CHAT_FEATURES.index("rest_statements_more")
_LITERAL_PLACE = CHAT_FEATURES.index("literal_richer")


@dataclass(frozen=True, slots=True, eq=False)
class ComparedChat:
    """A chat to compare: its last message, and what was read of all of it."""

    question: str
    reading: ChatReading


def veto_other_words(
    asked: ComparedChat,
    stored: ComparedChat,
    answer: str,
    weigh: WeighFeatures,
    *,
    ignores_asides: bool = False,
) -> str | None:
    """Return why the stored chat's `answer` must not be served in the one asked, or None.

    `ignores_asides`: what the user stated besides in the chat asked may be ignored; it may also
    matter, as "I have a premium account" does. Symmetric in the chats, but for the answer and for
    what may be planted: the stored chat never says more than the one asked.
    """
    if len(answer) > MAX_ANSWER_CHARACTERS:
        return "history"
    ours, theirs = summarize_chat(asked.reading), summarize_chat(stored.reading)
    if theirs.chat.sentences and not ours.chat.sentences:
        return "history-length"
    if not theirs.chat.sentences and _needs_no_history(asked.question, ours):
        return _veto_taken_up(answer, ours, theirs, max_words=_MAX_TAKEN_UP_WORDS)
    features = compute_chat_features(ours, theirs)
    return (
        ("history-signs" if _is_unread_text_alone(ours, theirs) else None)
        or ("history" if features[_STATEMENTS_PLACE] and not ignores_asides else None)
        or _veto_telling(asked, stored, features, weigh)
        # Who asked before may have told the model, or made it seem to say, what to answer, in words
        # that no rule reads. So whoever is served must have said all of it.
        or ("history" if says_more(theirs, ours) else None)
        or _veto_taken_up(answer, ours, theirs, max_words=None)
    )


def _veto_telling(
    asked: ComparedChat,
    stored: ComparedChat,
    features: Floats,
    weigh: WeighFeatures,
) -> str | None:
    """Return why the chats do not tell the same in other words, or None. Symmetric."""
    # What is accepted may be anywhere before, so one chat must hold the other, to the letter.
    if (accepts_reply(asked.question) or accepts_reply(stored.question)) and (
        features[_LITERAL_PLACE] < 1 or not is_same_reply(asked.reading, stored.reading)
    ):
        return "history-reply"
    vetoes = (reason for place, reason in _VETO_PLACES if features[place])
    return next(vetoes, None) or ("history" if weigh(features) < 0 else None)


def _is_unread_text_alone(ours: ChatSummary, theirs: ChatSummary) -> bool:
    """Return whether one chat alone has a sentence that must match, or each has such signs."""
    here, there = ours.chat.marks, theirs.chat.marks
    return bool(here - there and there - here) or any(
        each.flags & (FORMAL | FOREIGN) and each.digest not in other.digests
        for one, other in ((ours, theirs), (theirs, ours))
        for each in one.chat.sentences
    )


def _needs_no_history(question: str, chat: ChatSummary) -> bool:
    """Return whether the question has the same answer without its chat, as far as words tell."""
    if not is_phrased_standalone(question):
        return False
    if any(each.flags & (INSTRUCTS | FOREIGN) for each in chat.chat.sentences):
        return False
    said = frozenset().union(*chat.keys)
    return len(chat.asks & said) <= _MAX_MENTIONED_SHARE * len(chat.asks)


def _veto_taken_up(
    answer: str, ours: ChatSummary, theirs: ChatSummary, *, max_words: int | None
) -> str | None:
    """Return a reason if the answer takes up what only the stored chat said.

    A number or a name is enough; of other words of content more than `max_words`, if that is set.
    """
    sentences = (*theirs.chat.sentences, theirs.chat.question)
    given = {digest_word(canonicalize_word(token)) for token in parse_text_memoized(answer).tokens}
    taken = given - ours.words
    if any(not taken.isdisjoint(each.pick_words(NUMBER | NAME)) for each in sentences):
        return "history"
    words = taken & frozenset().union(*(each.pick_words(CONTENT) for each in sentences))
    return "history" if max_words is not None and len(words) > max_words else None
