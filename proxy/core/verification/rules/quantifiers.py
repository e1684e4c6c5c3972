"""How much of it, and which: all, any, only; before, after, during; first, next, last; more, less; at least, at most."""

from proxy.core.verification.parsed_text import Reading

# A line holds classes of words that exclude each other; words of a class say the same.
_AXES = """
only solely exclusively | all every each always both everything everyone everybody entire whole | one single |
any either anything anyone anybody | some few several sometimes;
before until till prior by | after since following | during within while;
first initial | last final latest | next | previous;
more most above over greater exceeding atleast | less least fewer fewest below under atmost upto;
maximum max | minimum min
"""
_CLASS = {
    word: (axis, place)
    for axis, line in enumerate(_AXES.split(";"))
    for place, words in enumerate(line.split("|"))
    for word in words.split()
}
# Without it the question is another one, whatever the other text says instead.
_ONLY = _CLASS["only"]


def scope_differs(asked: Reading, stored: Reading) -> bool:
    """Whether the texts limit what they ask for in ways that exclude each other, or just one asks for one thing only."""
    here, there = asked.words, stored.words
    only_here, only_there = _classes(here - there), _classes(there - here)
    if (_ONLY in _classes(here)) != (_ONLY in _classes(there)):
        return True
    return any(ours[0] == theirs[0] and ours != theirs for ours in only_here for theirs in only_there)


def _classes(words: frozenset[str]) -> set[tuple[int, int]]:
    return {_CLASS[word] for word in words & _CLASS.keys()}
