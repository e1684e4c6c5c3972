"""Rule `negation`: one text has an odd number of negations, or a prefix negates a word."""

from itertools import pairwise, product, starmap

from proxy.core.verification.parsed_text import ParsedText

_NEGATIONS = frozenset(
    (
        "not no never non none nothing nobody nowhere neither nor without except "
        "unless hardly barely"
    ).split()
)
# "I don't know how" asks how: a text with this word may have a negation more or less.
_UNSURE_WORD = "unsure"
# Verbs that negate the one after them: fail to arrive, avoid paying, stop watering.
_NEGATING_VERBS = frozenset(
    (
        "fail fails failed failing avoid avoids avoided avoiding refuse refuses refused refusing "
        "refrain refrains refrained prevent prevents prevented preventing decline declines "
        "declined stop stops stopped quit quits cease ceases ceased"
    ).split()
)
_NEGATING_PHRASES = (("far", "from"), ("instead", "of"), ("rather", "than"))
_NEGATING_PREFIXES = ("un", "in", "im", "ir", "il", "dis", "non", "de", "mis")
_MIN_WORD_LENGTH = 4  # to and into are no opposites


def negation_differs(asked: ParsedText, stored: ParsedText) -> bool:
    """Return whether one text negates the other: don't cancel, cancel; suitable, unsuitable."""
    open_ended = _UNSURE_WORD in asked.words or _UNSURE_WORD in stored.words
    return (
        not open_ended and has_odd_negations(asked) != has_odd_negations(stored)
    ) or _is_negated_by_prefix(asked, stored)


def has_odd_negations(reading: ParsedText) -> bool:
    """Return whether a text negates an odd number of times."""
    words = sum(token in _NEGATIONS for token in reading.tokens)
    return (words + sum(starmap(_is_negating, pairwise(reading.tokens)))) % 2 == 1


def _is_negating(one: str, following: str) -> bool:
    verb = following in ("to", "from") or following.endswith("ing")
    return (one in _NEGATING_VERBS and verb) or (one, following) in _NEGATING_PHRASES


def _is_negated_by_prefix(asked: ParsedText, stored: ParsedText) -> bool:
    only_here, only_there = asked.words - stored.words, stored.words - asked.words
    either = ((only_here, only_there), (only_there, only_here))
    return any(
        prefix + word in others
        for words, others in either
        for prefix, word in product(_NEGATING_PREFIXES, words)
        if len(word) >= _MIN_WORD_LENGTH
    )
