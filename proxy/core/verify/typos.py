"""Slips of the keyboard: a word of one text that is a word of the other with one letter wrong is that word."""

from proxy.core.compression.languages import LONGEST_WORD
from proxy.core.verify.alike import SAME
from proxy.core.verify.given import COMMON, GIVEN
from proxy.core.verify.opposites import KINDS, PAIRS
from proxy.core.verify.places import CALENDAR, PLACES
from proxy.core.verify.words import FILLERS, LINKS, Reading, canonical, reading_of

# Words of one text alone that are looked at: more are no slips.
_MOST = 24
_SHORTEST = 4


def repaired(asked: Reading, stored: Reading) -> tuple[Reading, Reading]:
    """Both readings, a mistyped word in either of them written as in the other."""
    only_here, only_there = _words(asked.words - stored.words), _words(stored.words - asked.words)
    if not only_here or not only_there or max(len(only_here), len(only_there)) > _MOST:
        return asked, stored
    meant: dict[str, str] = {}
    for one in only_here:
        for other in only_there:
            if _is_slip(one, other) and not (_is_name(one, asked) and _is_name(other, stored)):
                meant[one] = meant[other] = other if _is_known(other) else one if _is_known(one) else min(one, other)
    if not meant:
        return asked, stored
    return _written(asked, meant), _written(stored, meant)


def _written(reading: Reading, meant: dict[str, str]) -> Reading:
    return reading_of((meant.get(token, token) for token in reading.tokens), (meant.get(name, name) for name in reading.names))


def _words(tokens: frozenset[str]) -> list[str]:
    return sorted(token for token in tokens if _SHORTEST <= len(token) <= LONGEST_WORD and token.isalpha())


def _is_slip(one: str, other: str) -> bool:
    """Whether one word is the other with a letter more, less or another, or two exchanged (Damerau 1964), and not a word of its own.
    The first letter is seldom wrong. In short words another letter makes another word: card, cart."""
    if abs(len(one) - len(other)) > 1 or (one[0] != other[0] and sorted(one[:2]) != sorted(other[:2])):
        return False
    known = _is_known(one), _is_known(other)
    if all(known):
        return False
    start = next((place for place, (ours, theirs) in enumerate(zip(one, other, strict=False)) if ours != theirs), min(len(one), len(other)))
    ours, theirs = one[start:], other[start:]
    if ours[1:] == theirs or ours == theirs[1:] or (ours[2:] == theirs[2:] and ours[:2] == theirs[1::-1]):
        return True
    return ours[1:] == theirs[1:] and start > 0 and (len(one) > 6 or any(known))


def _is_name(word: str, reading: Reading) -> bool:
    """Whether the word is written as the name of somebody: Paula is not Paul mistyped, nor Mark Mary."""
    return word in reading.names and (word in GIVEN or word in COMMON or not _is_known(word))


def _is_known(word: str) -> bool:
    """Whether the word is in one of our lists, in any form: it is meant then, not mistyped."""
    return word in FILLERS or word in LINKS or canonical(word) in _KNOWN


_KNOWN = frozenset(
    canonical(word) for words in (PAIRS.replace(",", " "), SAME.replace(";", " "), KINDS.replace(";", " ")) for word in words.split()
) | frozenset(map(canonical, PLACES | CALENDAR | GIVEN | COMMON))
