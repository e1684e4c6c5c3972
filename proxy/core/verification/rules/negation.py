"""Yes and no: as many negations here as there, odd or even, and no word that the other text has only with a negating prefix."""

from itertools import product

from proxy.core.verification.parsed_text import Reading

_NEGATIONS = frozenset("not no never non none nothing nobody nowhere neither nor without except unless hardly barely".split())
# Who says not to know how asks how: such a text may have a negation more or less.
_UNSURE = "unsure"
_PREFIXES = ("un", "in", "im", "ir", "il", "dis", "non", "de", "mis")
_SHORTEST = 4  # to and into are no opposites


def polarity_differs(asked: Reading, stored: Reading) -> bool:
    """Whether one text says not what the other says: as "don't cancel" and "cancel", suitable and unsuitable."""
    open_ended = _UNSURE in asked.words or _UNSURE in stored.words
    return (not open_ended and _odd(asked) != _odd(stored)) or _prefixed(asked, stored)


def _odd(reading: Reading) -> bool:
    return sum(token in _NEGATIONS for token in reading.tokens) % 2 == 1


def _prefixed(asked: Reading, stored: Reading) -> bool:
    only_here, only_there = asked.words - stored.words, stored.words - asked.words
    either = ((only_here, only_there), (only_there, only_here))
    return any(prefix + word in others for words, others in either for prefix, word in product(_PREFIXES, words) if len(word) >= _SHORTEST)
