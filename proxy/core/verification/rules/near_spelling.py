"""Rule `spelling`: two different words spelled almost alike: nitrate, nitrite; trainer, trainee."""

from proxy.core.verification.lexicon.word_ranks import is_common
from proxy.core.verification.parsed_text import FILLERS, LINKS, ParsedText, canonicalize_word

# With more words of one text alone the texts are rewordings, and two words are near by chance.
MAX_DIFFERING_WORDS = 3
_MIN_WORD_LENGTH = 3
# Words of the first length match at two edits (hypotension, hypertension), those of the second only
# where no other word differs (sale, sail).
_LONG_WORD_LENGTH, _MEDIUM_WORD_LENGTH = 9, 4
_FUNCTION_WORDS = FILLERS | LINKS | {"not", "non", "nor"}
# Suffixes of who does it, and of whom it is done to.
_AGENT_SUFFIXES, _PATIENT_SUFFIXES = ("er", "or"), ("ee", "ed")


def spelling_differs(asked: ParsedText, stored: ParsedText) -> bool:
    """Return whether a word of one text alone is one edit from a word of the other alone.

    Both must be words. Two edits count too where no other word differs.
    """
    here, there = (
        _select_words(one.words - other.words) for one, other in ((asked, stored), (stored, asked))
    )
    if max(len(here), len(there)) > MAX_DIFFERING_WORDS:
        return False
    apart = 2 if len(here) == len(there) == 1 else 1
    return any(_are_spelled_near(one, other, apart) for one in here for other in there)


def _select_words(tokens: frozenset[str]) -> list[str]:
    return [
        token
        for token in tokens
        if len(token) >= _MIN_WORD_LENGTH
        and token.isalpha()
        and (token in _FUNCTION_WORDS or is_common(token))
    ]


def _are_spelled_near(one: str, other: str, apart: int) -> bool:
    if one in _FUNCTION_WORDS and other in _FUNCTION_WORDS:
        return False
    if one[:-2] == other[:-2] and _are_agent_and_patient(one, other):
        return True
    if _is_derived(one, other) or _is_derived(other, one):
        return False
    if canonicalize_word(one) == canonicalize_word(other):
        return apart > 1 and _count_edits(one, other) == 1 and _are_separate_words(one, other)
    shorter = min(len(one), len(other))
    return _count_edits(one, other) <= (
        2 if shorter >= _LONG_WORD_LENGTH else apart if shorter >= _MEDIUM_WORD_LENGTH else 1
    )


def _are_agent_and_patient(one: str, other: str) -> bool:
    return (one.endswith(_AGENT_SUFFIXES) and other.endswith(_PATIENT_SUFFIXES)) or (
        other.endswith(_AGENT_SUFFIXES) and one.endswith(_PATIENT_SUFFIXES)
    )


def _are_separate_words(one: str, other: str) -> bool:
    """Return whether two words of one root are different words: breath, breathe; moral, morale."""
    return f"{one}e" == other or f"{other}e" == one


def _is_derived(one: str, other: str) -> bool:
    """Return whether `other` is derived from `one`: expiry, delivery, renewal, arrival, quickly."""
    if one.endswith("e") and len(one) > _MEDIUM_WORD_LENGTH:
        return other in (one[:-1] + "y", one[:-1] + "al")
    return (one.endswith("er") and other == one + "y") or (
        len(one) > _MEDIUM_WORD_LENGTH and other in (one + "al", one + "ly")
    )


def _count_edits(one: str, other: str) -> int:
    """Return the number of edits between two words, at most 3.

    An edit: a letter more, less or another, or two neighbours exchanged.
    """
    if abs(len(one) - len(other)) > 2:
        return 3
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    one, other = one[start:], other[start:]
    while one and other and one[-1] == other[-1]:
        one, other = one[:-1], other[:-1]
    if len(one) == len(other) == 2 and one == other[::-1]:
        return 1
    # What is left in the middle differs at both its ends: with three letters on either side, in
    # more than two.
    if min(len(one), len(other)) > 2:
        return 3
    return max(len(one), len(other))
