"""Rule `scope`: how much, and which: all, any, only; before, after; first, last; more, less."""

from itertools import pairwise

from proxy.core.verification.parsed_text import ParsedText

# A line holds classes of words that exclude each other; words of a class say the same.
_QUANTIFIER_AXES = """
only solely exclusively | all every each always both everything everyone everybody entire whole | one single |
any either anything anyone anybody | some few several sometimes;
before until till prior by | after since following | during within while;
first initial | last final latest | next | previous;
more most above over greater exceeding atleast | less least fewer fewest below under atmost upto;
maximum max | minimum min
"""  # noqa: E501 -- laid out as it is read
_CLASS_BY_WORD = {
    word: (axis, place)
    for axis, line in enumerate(_QUANTIFIER_AXES.split(";"))
    for place, words in enumerate(line.split("|"))
    for word in words.split()
}
_RANK_WORDS = frozenset(
    "second third fourth fifth sixth seventh eighth ninth tenth 3 4 5 6".split()
)
_WORDS_AS_IN_EQUALITY = 2  # as fast as
# A word such as only in just one text makes another question of it, whatever the other has instead.
_ONLY_CLASS = _CLASS_BY_WORD["only"]


def quantifiers_differ(asked: ParsedText, stored: ParsedText) -> bool:
    """Return whether the texts limit their subject in ways that exclude each other.

    So does `only` in just one of them.
    """
    if _find_rank(asked) != _find_rank(stored) or _find_comparison(asked, stored):
        return True
    here, there = asked.words, stored.words
    only_here, only_there = _collect_classes(here - there), _collect_classes(there - here)
    if (_ONLY_CLASS in _collect_classes(here)) != (_ONLY_CLASS in _collect_classes(there)):
        return True
    return any(
        ours[0] == theirs[0] and ours != theirs for ours in only_here for theirs in only_there
    )


def _find_rank(reading: ParsedText) -> frozenset[str]:
    """Return the ranks before superlatives: second, in the second highest."""
    return frozenset(
        one
        for one, following in pairwise(reading.tokens)
        if one in _RANK_WORDS and (following.endswith("est") or following in ("most", "best"))
    )


def _find_comparison(asked: ParsedText, stored: ParsedText) -> bool:
    """Return whether one text says that things are equal where the other says which is more."""
    one, other = (
        ("than" in each.tokens, each.tokens.count("as") >= _WORDS_AS_IN_EQUALITY)
        for each in (asked, stored)
    )
    return (one, other) in (((True, False), (False, True)), ((False, True), (True, False)))


def _collect_classes(words: frozenset[str]) -> set[tuple[int, int]]:
    return {_CLASS_BY_WORD[word] for word in words & _CLASS_BY_WORD.keys()}
