"""Repair typos: non-words that are one letter from a word of the other text.

Two words are never one, however near: nitrate, nitrite. Nor is a name a typo: what is frequent, or
has a capital, is none though no dictionary has it. For English; other languages' words are unknown
here (`proxy.core.verification.english`).
"""

import math

from proxy.core.text.languages import MAX_WORD_LENGTH
from proxy.core.verification.lexicon.places import CALENDAR_NAMES, PLACE_NAMES
from proxy.core.verification.lexicon.word_ranks import is_common, is_word, zipf_frequency
from proxy.core.verification.parsed_text import ParsedText, build_parsed_text

# Words of one text alone that are looked at: more are no typos.
MAX_COMPARED_WORDS = 24
_MIN_WORD_LENGTH = 3
# Words this short have typos by an exchange alone, and only those that everybody uses: teh.
_SHORT_WORD_LENGTH, _MIN_EVERYDAY_FREQUENCY = 3, 6.0
# How much more frequent, in powers of ten, the intended word is than the typo; then of two kinds of
# typo that are more common than others.
MIN_RARITY_GAP, MIN_RARITY_GAP_SWAPPED, MIN_RARITY_GAP_DOUBLED = 2.5, 1.8, 1.4
_VOWELS, _KEYBOARD_ROWS = frozenset("aeiou"), ("qwertyuiop", "asdfghjkl", "zxcvbnm")
# A rarer word is not what somebody mistyped.
MIN_INTENDED_FREQUENCY = 2.5


def repair_typos(asked: ParsedText, stored: ParsedText) -> tuple[ParsedText, ParsedText]:
    """Return both texts, the typos of each replaced by the other's words."""
    here, there = _find_intended_words(asked, stored), _find_intended_words(stored, asked)
    return (_replace_typos(asked, here) if here else asked), (
        _replace_typos(stored, there) if there else stored
    )


def _find_intended_words(one: ParsedText, other: ParsedText) -> dict[str, str]:
    """Map typos of one text to words of the other; ambiguous ones are left out."""
    words = _select_words(one.words - other.words)
    if not words or len(words) > MAX_COMPARED_WORDS:
        return {}
    found: dict[str, str] = {}
    for word in words:
        if is_word(word) or word in one.names:
            continue
        meant = [
            each
            for each in _select_words(other.words)
            if _is_typo(word, each) and is_common(each) and not _is_person_name(each, other)
        ]
        if len(meant) == 1:
            found[word] = meant[0]
    return found


def _is_typo(typed: str, word: str) -> bool:
    """Return whether `typed` is one edit from `word`, and so much rarer that it is not intended."""
    if not is_one_edit(typed, word):
        return False
    start = _find_first_difference(typed, word)
    ours, theirs = typed[start:], word[start:]
    meant = zipf_frequency(word)
    if ours[2:] == theirs[2:] and len(ours) > 1 and ours[:2] == theirs[1::-1]:
        least = (
            MIN_RARITY_GAP_SWAPPED
            if len(word) > _SHORT_WORD_LENGTH or meant >= _MIN_EVERYDAY_FREQUENCY
            else math.inf
        )
    elif len(word) <= _SHORT_WORD_LENGTH:
        return False
    elif ours[1:] == theirs or ours == theirs[1:]:
        longer = typed if len(typed) > len(word) else word
        least = (
            MIN_RARITY_GAP_DOUBLED
            if start and longer[start - 1] == longer[start]
            else MIN_RARITY_GAP
        )
    elif ours[1:] == theirs[1:] and start > 0:
        least = _get_rarity_gap(ours[0], theirs[0])
    else:
        return False
    return meant >= MIN_INTENDED_FREQUENCY and meant - zipf_frequency(typed) >= least


def is_one_edit(one: str, other: str) -> bool:
    """Return whether a word becomes the other by one edit that is no other first letter. Symmetric.

    An edit (Damerau 1964): a letter more, less or another, or two exchanged.
    """
    # The first letter is seldom wrong.
    if abs(len(one) - len(other)) > 1 or (
        one[0] != other[0] and sorted(one[:2]) != sorted(other[:2])
    ):
        return False
    start = _find_first_difference(one, other)
    ours, theirs = one[start:], other[start:]
    exchanged = ours[2:] == theirs[2:] and ours[:2] == theirs[1::-1]
    return exchanged or ours[1:] == theirs or ours == theirs[1:] or ours[1:] == theirs[1:]


def _find_first_difference(one: str, other: str) -> int:
    """Return where two words first differ, or the length of the shorter."""
    pairs = enumerate(zip(one, other, strict=False))
    return next(
        (place for place, (ours, theirs) in pairs if ours != theirs), min(len(one), len(other))
    )


def _get_rarity_gap(typed: str, meant: str) -> float:
    """Return the required rarity gap for one letter in another's place; infinite for most letters.

    Vowels are mistaken for each other, and neighbours on the keyboard.
    """
    if typed in _VOWELS and meant in _VOWELS:
        return MIN_RARITY_GAP_SWAPPED
    beside = any(
        typed in keys and meant in keys and abs(keys.index(typed) - keys.index(meant)) == 1
        for keys in _KEYBOARD_ROWS
    )
    return MIN_RARITY_GAP if beside else math.inf


def _is_person_name(word: str, reading: ParsedText) -> bool:
    return word in reading.names and word not in PLACE_NAMES and word not in CALENDAR_NAMES


def _replace_typos(reading: ParsedText, meant: dict[str, str]) -> ParsedText:
    return build_parsed_text(
        (meant.get(token, token) for token in reading.tokens),
        (meant.get(name, name) for name in reading.names),
    )


def _select_words(tokens: frozenset[str]) -> list[str]:
    return sorted(
        token
        for token in tokens
        if _MIN_WORD_LENGTH <= len(token) <= MAX_WORD_LENGTH and token.isascii() and token.isalpha()
    )
