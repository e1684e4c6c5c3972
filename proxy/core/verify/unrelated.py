"""Much is in one text that is not in the other: as where text was appended to bring a question near to another one."""

from proxy.core.verify.words import Reading

# Words of content that one text may have more than the other.
_MORE = 4
# How much longer one may be by saying the same again: so many times and so many words.
_TIMES, _WORDS = 2, 12
# Texts of so many words of content that share less than this part of them.
_ENOUGH, _SHARED = 8, 0.25


def unrelated(asked: Reading, stored: Reading) -> bool:
    """Whether one text says much that the other does not, or the same again and again, or they have hardly a word in common."""
    fewer, more = sorted((len(asked.content), len(stored.content)))
    shorter, longer = sorted((len(asked.keys), len(stored.keys)))
    if more - fewer > _MORE or longer > _TIMES * shorter + _WORDS:
        return True
    return fewer >= _ENOUGH and len(asked.content & stored.content) < _SHARED * fewer
