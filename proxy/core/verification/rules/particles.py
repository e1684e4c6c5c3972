"""Rule `particles`: small words that reverse a question: from, to; in, out of; call, call off."""

from proxy.core.verification.parsed_text import ParsedText, canonicalize_word

# A line holds classes of words that exclude each other; words of a class say the same.
_EXCLUSION_AXES = """
in into inside within | out outside;
on onto | off | under underneath below beneath;
over above | under underneath below beneath;
to towards toward | from;
up | down;
for | against;
through | around;
by | about
"""
_PARTICLE_CLASSES = [
    [frozenset(words.split()) for words in line.split("|")] for line in _EXCLUSION_AXES.split(";")
]
# Some of them are content to other rules, such as around.
_PARTICLE_KEYS = frozenset(
    canonicalize_word(word) for classes in _PARTICLE_CLASSES for words in classes for word in words
)
# Behind a verb these make another verb of it: call, call off.
_VERB_PARTICLES = frozenset("off out up down away".split())
_FEW_WORDS = frozenset(("few", "little"))
# Words before few and little: those that say there are some, and those that do not tell.
_SOME_MARKERS, _NEUTRAL_MARKERS = (
    frozenset("a".split()),
    frozenset("the these those my your our his her their last past next first these every".split()),
)
# Words after few that make it some of all there are.
_PARTITIVE_WORDS = frozenset(("more", "of"))


def particles_differ(asked: ParsedText, stored: ParsedText) -> bool:
    """Return whether texts with the same content have small words that exclude each other."""
    if _few_differs(asked, stored):
        return True
    if asked.content - _PARTICLE_KEYS != stored.content - _PARTICLE_KEYS:
        return False
    here, there = asked.words - stored.words, stored.words - asked.words
    return not _VERB_PARTICLES.isdisjoint(here | there) or any(
        not (one.isdisjoint(here) or other.isdisjoint(there))
        for classes in _PARTICLE_CLASSES
        for one in classes
        for other in classes
        if one is not other
    )


def _few_differs(asked: ParsedText, stored: ParsedText) -> bool:
    """Return whether one text says few or little where the other says a few or a little."""
    here, there = _find_few_words(asked), _find_few_words(stored)
    return any(here[word] != there[word] for word in here.keys() & there.keys())


def _find_few_words(reading: ParsedText) -> dict[str, bool]:
    """Return, for few and little, whether the text says that there are some."""
    tokens = ("", *reading.tokens, "")
    return {
        word: before in _SOME_MARKERS
        for before, word, after in zip(tokens, tokens[1:], tokens[2:], strict=False)
        if word in _FEW_WORDS and before not in _NEUTRAL_MARKERS and after not in _PARTITIVE_WORDS
    }
