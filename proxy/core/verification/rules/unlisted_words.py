"""A word that no list has, in one text alone: a name, a product, or what was put there to steer the comparison."""

from proxy.core.verification.lexicon.word_ranks import is_common
from proxy.core.verification.parsed_text import FILLERS, JOINED_TOKENS, LINKS, Reading, canonical

_SHORTEST = 2
_PHRASES = frozenset(JOINED_TOKENS.values())


def unlisted_differ(asked: Reading, stored: Reading) -> bool:
    """Whether either text has a word that nobody has listed, and the other has it in no form."""
    return _unmentioned(asked, stored) or _unmentioned(stored, asked)


def _unmentioned(one: Reading, other: Reading) -> bool:
    return any(canonical(word) not in other.content for word in one.words - other.words if _is_unlisted(word))


def _is_unlisted(word: str) -> bool:
    if len(word) < _SHORTEST or not word[0].isalpha() or word in FILLERS or word in LINKS or word in _PHRASES:
        return False
    return not is_common(word)
