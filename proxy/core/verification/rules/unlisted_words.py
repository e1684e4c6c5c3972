"""Rule `unlisted`: a word in no list: a name, a product, or bait to steer the comparison."""

from proxy.core.verification.lexicon.word_ranks import is_common
from proxy.core.verification.parsed_text import (
    FILLERS,
    JOINED_TOKENS,
    LINKS,
    ParsedText,
    canonicalize_word,
)

_MIN_WORD_LENGTH = 2
_PHRASE_TOKENS = frozenset(JOINED_TOKENS.values())


def unlisted_words_differ(asked: ParsedText, stored: ParsedText) -> bool:
    """Return whether either text has an unlisted word that the other lacks in any form."""
    return _has_unmentioned_word(asked, stored) or _has_unmentioned_word(stored, asked)


def _has_unmentioned_word(one: ParsedText, other: ParsedText) -> bool:
    return any(
        canonicalize_word(word) not in other.content
        for word in one.words - other.words
        if _is_unlisted(word)
    )


def _is_unlisted(word: str) -> bool:
    if (
        len(word) < _MIN_WORD_LENGTH
        or not word[0].isalpha()
        or word in FILLERS
        or word in LINKS
        or word in _PHRASE_TOKENS
    ):
        return False
    return not is_common(word)
