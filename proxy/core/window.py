"""A chat compared as a whole (`context: window`): what of it is embedded, what of it an entry keeps, and what stands against a neighbour.

Measured on the dev chats: the user's turns without small talk, as one text, tell chats about other things apart (95 of 100 below a cosine
of .77; the same chat reworded 95 of 100 above .9). One changed detail moves that text little, and a long history hides another question:
so the question has a vector of its own, and `proxy.core.verify.chat` looks at the details.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgpack
import numpy as np

from proxy.core.chat import text_of
from proxy.core.ports import Message, Vector
from proxy.core.verify.chat import Chat, history_veto

# Characters beyond which the earlier turns must be the same: of what the user said, which an entry keeps, and in all, which is read.
_SAID, _ALL = 4096, 16_384
# Characters to embed: some 120 word pieces, which cost a few milliseconds more than a question alone. The oldest turns are left out.
_EMBEDDED = 500
# Cosine of two windows with history, whatever lower threshold a plan has for questions.
_ALIKE = 0.85


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A chat, and the unit vector of its question alone."""

    chat: Chat
    question: Vector


def fits(messages: Sequence[Message]) -> bool:
    """Whether the chat is short enough to be kept and compared; a longer one is compared as under `strict`."""
    sizes = [(message["role"] == "user", len(text_of(message) or "")) for message in messages]
    return sum(size for _, size in sizes) <= _ALL and sum(size for said, size in sizes if said) <= _SAID


def text_of_window(chat: Chat, turns: int) -> str:
    """What to embed: the question and up to so many turns of the user before it, as many as there is room for."""
    while turns and len(chat.window(turns)) > _EMBEDDED:
        turns -= 1
    return chat.window(turns)


def pack(window: Window) -> bytes:
    """Bytes for an entry, some hundred and what the user said. The vector is kept in half precision."""
    packed: bytes = msgpack.packb([window.chat.said, window.chat.replies, window.question.astype(np.float16).tobytes()])
    return packed


def objection(asked: Window, stored: Window, *, similarity: float) -> str | None:
    """What in the history stands against the stored answer, None when nothing does; of the questions nothing is said. `similarity`: of
    the two windows."""
    if reason := history_veto(asked.chat, stored.chat):
        return reason
    return "history" if len(asked.chat.said) > 1 and similarity < _ALIKE else None


def unpack(stored: bytes, dimension: int) -> Window | None:
    """The window, None for anything else: another schema, another embedder's, or an entry of another context."""
    try:
        said, replies, vector = msgpack.unpackb(stored)
        question = np.frombuffer(vector, dtype=np.float16).astype(np.float32)
    except (ValueError, TypeError, msgpack.UnpackException):
        return None
    whole = isinstance(said, list) and said and all(isinstance(turn, str) for turn in said) and isinstance(replies, bytes)
    return Window(Chat(tuple(said), replies), question) if whole and question.shape == (dimension,) else None
