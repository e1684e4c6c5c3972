"""Rule `unrelated`: one text has much that the other lacks, such as text appended to match it."""

from proxy.core.verification.parsed_text import (
    FILLERS,
    LINKS,
    SENTENCE_BREAK,
    ParsedText,
    canonicalize_word,
)

# Content words that one text may have more than the other: in all, and in a row before or after all
# that it shares with the other.
_MAX_EXTRA_WORDS, _MAX_EXTRA_IN_ROW = 4, 2
# How much longer one text may be by repetition: this factor, plus this many words.
_MAX_LENGTH_RATIO, _LENGTH_TOLERANCE_WORDS = 2, 12
# Texts of this many content words that share less than this part of them are unrelated.
_MIN_WORDS_TO_COMPARE, _MIN_SHARED_SHARE = 8, 0.25
# Content words of a sentence that is about something.
_MIN_SENTENCE_WORDS = 2


def subjects_differ(asked: ParsedText, stored: ParsedText) -> bool:
    """Return whether one text says much more or repeats itself, or both share hardly a word."""
    fewer, more = sorted((len(asked.content), len(stored.content)))
    shorter, longer = sorted((len(asked.keys), len(stored.keys)))
    if (
        more - fewer > _MAX_EXTRA_WORDS
        or longer > _MAX_LENGTH_RATIO * shorter + _LENGTH_TOLERANCE_WORDS
    ):
        return True
    shared = asked.content & stored.content
    if fewer >= _MIN_WORDS_TO_COMPARE and len(shared) < _MIN_SHARED_SHARE * fewer:
        return True
    return bool(shared) and (_adds_subject(asked, stored) or _adds_subject(stored, asked))


def _adds_subject(one: ParsedText, other: ParsedText) -> bool:
    """Return whether `one` adds a sentence on another subject, or several words at one end.

    At one end: `one` has all of the other's content.
    """
    return (SENTENCE_BREAK in one.words and _has_foreign_sentence(one, other)) or (
        other.content < one.content and _count_edge_words(one, other) > _MAX_EXTRA_IN_ROW
    )


def _has_foreign_sentence(one: ParsedText, other: ParsedText) -> bool:
    sentence: set[str] = set()
    for token in (*one.tokens, SENTENCE_BREAK):
        if token == SENTENCE_BREAK:
            if len(sentence) >= _MIN_SENTENCE_WORDS and sentence.isdisjoint(other.content):
                return True
            sentence = set()
        elif token not in FILLERS:
            sentence.update({canonicalize_word(token)} - LINKS)
    return False


def _count_edge_words(one: ParsedText, other: ParsedText) -> int:
    """Return how many content words of `one` precede the first shared one, or follow the last.

    The larger of both.
    """
    content = [key for key in one.keys if key not in LINKS]
    shared = [place for place, key in enumerate(content) if key in other.content]
    return max(shared[0], len(content) - 1 - shared[-1])
