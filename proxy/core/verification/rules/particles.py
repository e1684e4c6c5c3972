"""Small words that turn a question round where all else is the same: from, to; in, out of; few, a few; by, about."""

from proxy.core.verification.parsed_text import Reading

# A line holds classes of words that exclude each other; words of a class say the same.
_AXES = """
in into inside within | out outside;
on onto | off | under underneath below beneath;
over above | under underneath below beneath;
to towards toward | from;
up | down;
for | against;
through | around;
by | about
"""
_CLASSES = [[frozenset(words.split()) for words in line.split("|")] for line in _AXES.split(";")]
_LITTLE = frozenset(("few", "little"))
# Before few and little: that there are some; and what tells neither.
_SOME, _EITHER = frozenset("a".split()), frozenset("the these those my your our his her their last past next first these every".split())
# Behind few: of all there are, some.
_OF = frozenset(("more", "of"))


def particles_differ(asked: Reading, stored: Reading) -> bool:
    """Whether texts with the same words of content have small words that exclude each other."""
    if _few_differs(asked, stored):
        return True
    if asked.content != stored.content:
        return False
    here, there = asked.words - stored.words, stored.words - asked.words
    return any(
        not (one.isdisjoint(here) or other.isdisjoint(there))
        for classes in _CLASSES
        for one in classes
        for other in classes
        if one is not other
    )


def _few_differs(asked: Reading, stored: Reading) -> bool:
    """Whether there are few, or little, in one text, and a few, or a little, in the other."""
    here, there = _few(asked), _few(stored)
    return any(here[word] != there[word] for word in here.keys() & there.keys())


def _few(reading: Reading) -> dict[str, bool]:
    """Few and little to whether it says that there are some."""
    tokens = ("", *reading.tokens, "")
    return {
        word: before in _SOME
        for before, word, after in zip(tokens, tokens[1:], tokens[2:], strict=False)
        if word in _LITTLE and before not in _EITHER and after not in _OF
    }
