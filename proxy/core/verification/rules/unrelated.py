"""Much is in one text that is not in the other: as where text was appended to bring a question near to another one."""

from proxy.core.verification.parsed_text import END, FILLERS, LINKS, Reading, canonical

# Words of content that one text may have more than the other: in all, and in a row before or after all it shares with the other.
_MORE, _ROW = 4, 2
# How much longer one may be by saying the same again: so many times and so many words.
_TIMES, _WORDS = 2, 12
# Texts of so many words of content that share less than this part of them.
_ENOUGH, _SHARED = 8, 0.25
# Words of content of a sentence that is about something.
_SENTENCE = 2


def unrelated(asked: Reading, stored: Reading) -> bool:
    """Whether one text says much that the other does not, or the same again and again, or they have hardly a word in common."""
    fewer, more = sorted((len(asked.content), len(stored.content)))
    shorter, longer = sorted((len(asked.keys), len(stored.keys)))
    if more - fewer > _MORE or longer > _TIMES * shorter + _WORDS:
        return True
    shared = asked.content & stored.content
    if fewer >= _ENOUGH and len(shared) < _SHARED * fewer:
        return True
    return bool(shared) and (_adds(asked, stored) or _adds(stored, asked))


def _adds(one: Reading, other: Reading) -> bool:
    """Whether the one has a sentence about what the other does not speak of, or all of the other's words and then some in a row."""
    return (END in one.words and _has_foreign_sentence(one, other)) or (other.content < one.content and _edge(one, other) > _ROW)


def _has_foreign_sentence(one: Reading, other: Reading) -> bool:
    sentence: set[str] = set()
    for token in (*one.tokens, END):
        if token == END:
            if len(sentence) >= _SENTENCE and sentence.isdisjoint(other.content):
                return True
            sentence = set()
        elif token not in FILLERS:
            sentence.update({canonical(token)} - LINKS)
    return False


def _edge(one: Reading, other: Reading) -> int:
    """Words of content of the one before the first, or after the last, that it shares with the other; whichever are more."""
    content = [key for key in one.keys if key not in LINKS]
    shared = [place for place, key in enumerate(content) if key in other.content]
    return max(shared[0], len(content) - 1 - shared[-1])
