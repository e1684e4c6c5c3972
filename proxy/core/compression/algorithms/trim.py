"""Drop the middle of a chat: keep whole messages, the newest and the first ones."""

from itertools import cycle

from proxy.core.compression.document import Document

# The opening turns say what the chat is about and the newest where it stands: one from the start
# for every three from the end. It reads no words and takes linear time, so every other engine falls
# back on it.
PIECES_FROM_END = 3


def rank(history: Document) -> list[float]:
    """Score by position: the last three pieces, the first, the three before the last, and so on."""
    first, last = 0, len(history.pieces) - 1
    scores = [0.0] * len(history.pieces)
    for score, step in zip(
        range(len(scores), 0, -1), cycle(range(PIECES_FROM_END + 1)), strict=False
    ):
        if step < PIECES_FROM_END:
            scores[last] = score
            last -= 1
        else:
            scores[first] = score
            first += 1
    return scores
