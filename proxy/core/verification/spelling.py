"""Slips of the keyboard: what is no word, and one letter from a word of the other text, is that word.

Two words are never one, however near: nitrate, nitrite. Nor is a name one: what is often written, or
with a capital, is no slip though no dictionary has it. For English; other languages' words are unknown
here (`proxy.core.verification.english`).
"""

import math

from proxy.core.text.languages import LONGEST_WORD
from proxy.core.verification.lexicon.places import CALENDAR, PLACES
from proxy.core.verification.lexicon.word_ranks import is_common, is_word, rank
from proxy.core.verification.parsed_text import Reading, reading_of

# Words of one text alone that are looked at: more are no slips.
MAX_WORDS = 24
_SHORTEST = 3
# Words so short are mistyped by an exchange alone, and only those that everybody uses: teh.
_SHORT, _EVERYDAY = 3, 6.0
# How much more often, in powers of ten, the word meant is met than the slip; and of slips that are made more often than others.
RARER, RARER_EXCHANGED, RARER_DOUBLED = 2.5, 1.8, 1.4
_VOWELS, _KEYS = frozenset("aeiou"), ("qwertyuiop", "asdfghjkl", "zxcvbnm")
# What is met less often is not what somebody mistyped.
MEANT = 2.5


def repaired(asked: Reading, stored: Reading) -> tuple[Reading, Reading]:
    """Both readings, a mistyped word in either of them written as in the other."""
    here, there = _meant(asked, stored), _meant(stored, asked)
    return (_written(asked, here) if here else asked), (_written(stored, there) if there else stored)


def _meant(one: Reading, other: Reading) -> dict[str, str]:
    """Slips of the one to words of the other; what may be two of them is none."""
    words = _words(one.words - other.words)
    if not words or len(words) > MAX_WORDS:
        return {}
    found: dict[str, str] = {}
    for word in words:
        if is_word(word) or word in one.names:
            continue
        meant = [each for each in _words(other.words) if _is_slip(word, each) and is_common(each) and not _is_persons(each, other)]
        if len(meant) == 1:
            found[word] = meant[0]
    return found


def _is_slip(typed: str, word: str) -> bool:
    """Whether the typed one is the word with a letter more, less or another, or two exchanged (Damerau 1964), and met so much less often
    that it is not meant. The first letter is seldom wrong."""
    if abs(len(typed) - len(word)) > 1 or (typed[0] != word[0] and sorted(typed[:2]) != sorted(word[:2])):
        return False
    pairs = enumerate(zip(typed, word, strict=False))
    start = next((place for place, (ours, theirs) in pairs if ours != theirs), min(len(typed), len(word)))
    ours, theirs = typed[start:], word[start:]
    meant = rank(word)
    if ours[2:] == theirs[2:] and len(ours) > 1 and ours[:2] == theirs[1::-1]:
        least = RARER_EXCHANGED if len(word) > _SHORT or meant >= _EVERYDAY else math.inf
    elif len(word) <= _SHORT:
        return False
    elif ours[1:] == theirs or ours == theirs[1:]:
        longer = typed if len(typed) > len(word) else word
        least = RARER_DOUBLED if start and longer[start - 1] == longer[start] else RARER
    elif ours[1:] == theirs[1:] and start > 0:
        least = _least(ours[0], theirs[0])
    else:
        return False
    return meant >= MEANT and meant - rank(typed) >= least


def _least(typed: str, meant: str) -> float:
    """For one letter in another's place: vowels are taken for each other, and neighbours on the keyboard."""
    if typed in _VOWELS and meant in _VOWELS:
        return RARER_EXCHANGED
    beside = any(typed in keys and meant in keys and abs(keys.index(typed) - keys.index(meant)) == 1 for keys in _KEYS)
    return RARER if beside else math.inf


def _is_persons(word: str, reading: Reading) -> bool:
    return word in reading.names and word not in PLACES and word not in CALENDAR


def _written(reading: Reading, meant: dict[str, str]) -> Reading:
    return reading_of((meant.get(token, token) for token in reading.tokens), (meant.get(name, name) for name in reading.names))


def _words(tokens: frozenset[str]) -> list[str]:
    return sorted(token for token in tokens if _SHORTEST <= len(token) <= LONGEST_WORD and token.isascii() and token.isalpha())
