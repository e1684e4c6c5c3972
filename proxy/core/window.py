"""A chat compared as a whole (`context: window`): what of it is embedded, what of it an entry keeps, and what stands against a neighbour.

Measured on the dev chats: the user's turns without small talk, as one text, tell chats about other things apart (95 of 100 below a cosine
of .77; the same chat reworded 95 of 100 above .9). One changed detail moves that text little, and a long history hides another question:
so `proxy.core.verify.chat` looks at the details, and the questions are compared by themselves once all else agrees. Only then is a vector
of the question alone needed, and both texts are at hand: an entry keeps what was said and no vector of it.
"""

from collections.abc import Sequence

import msgpack

from proxy.core.chat import text_of
from proxy.core.ports import Message
from proxy.core.verify.chat import Chat, history_veto

# Characters beyond which the earlier turns must be the same: of what the user said, which an entry keeps, and in all, which is read.
_SAID, _ALL = 4096, 16_384
# Characters to embed: some 120 word pieces, which cost a few milliseconds more than a question alone. The oldest turns are left out.
_EMBEDDED = 500
# Cosine of two windows with history, whatever lower threshold a plan has for questions.
_ALIKE = 0.85


def fits(messages: Sequence[Message]) -> bool:
    """Whether the chat is short enough to be kept and compared; a longer one is compared as under `strict`."""
    sizes = [(message["role"] == "user", len(text_of(message) or "")) for message in messages]
    return sum(size for _, size in sizes) <= _ALL and sum(size for said, size in sizes if said) <= _SAID


def text_of_window(chat: Chat, turns: int) -> str:
    """What to embed: the question and up to so many turns of the user before it, as many as there is room for."""
    while turns and len(chat.window(turns)) > _EMBEDDED:
        turns -= 1
    return chat.window(turns)


def pack(chat: Chat) -> bytes:
    """Bytes for an entry, some twenty and what the user said."""
    packed: bytes = msgpack.packb([chat.said, chat.replies])
    return packed


def objection(asked: Chat, stored: Chat, *, similarity: float) -> str | None:
    """What in the history stands against the stored answer, None when nothing does; of the questions nothing is said. `similarity`: of
    the two windows."""
    if reason := history_veto(asked, stored):
        return reason
    return "history" if len(asked.said) > 1 and similarity < _ALIKE else None


def unpack(stored: bytes) -> Chat | None:
    """The chat, None for anything else: another schema, or an entry of another context."""
    try:
        said, replies = msgpack.unpackb(stored)
    except (ValueError, TypeError, msgpack.UnpackException):
        return None
    whole = isinstance(said, list) and said and all(isinstance(turn, str) for turn in said) and isinstance(replies, bytes)
    return Chat(tuple(said), replies) if whole else None
