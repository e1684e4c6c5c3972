"""A chat compared as a whole (`context: window`): what of it is embedded, what of it an entry keeps, and what stands against a neighbour.

Measured on the dev chats: the user's turns without small talk, as one text, tell chats about other things apart (95 of 100 below a cosine
of .77; the same chat reworded 95 of 100 above .9). One changed detail moves that text little, and a long history hides another question:
so `proxy.core.verify.chat` looks at the details, and the questions are compared by themselves once all else agrees. Only then is a vector
of the question alone needed, and both texts are at hand: an entry keeps what was said and no vector of it.
"""

from collections.abc import Iterable, Sequence

import msgpack

from proxy.core.chat import text_of
from proxy.core.ports import Message, Vector
from proxy.core.verify.alone import speaks_of
from proxy.core.verify.chat import Chat, history_veto

# Characters beyond which the earlier turns must be the same: of what the user said, which an entry keeps, and in all, which is read.
_SAID, _ALL = 4096, 16_384
_MESSAGES = 400  # each takes its time, however short it is
# Characters to embed, some 50 word pieces; the oldest turns are left out. With 500 the dev chats fare no better, for twice the work.
_EMBEDDED = 200
# Cosine of two windows with history, whatever lower threshold a plan has for questions.
_ALIKE = 0.85
# Cosine of a question and what was said before it, from which on they may have to do with each other: of pairs written for this, 95 of 100
# that had not were below .16, 75 of 100 that had above .17.
_APART = 0.15

# What an entry keeps of a chat that is not compared: that there was one.
BEGUN = b"begun"


def fits(messages: Sequence[Message]) -> bool:
    """Whether the chat is short enough to be kept and compared; a longer one is compared as under `strict`."""
    if len(messages) > _MESSAGES:
        return False
    sizes = [(message["role"] == "user", len(text_of(message) or "")) for message in messages]
    return sum(size for _, size in sizes) <= _ALL and sum(size for said, size in sizes if said) <= _SAID


def text_of_window(chat: Chat, turns: int) -> str:
    """What to embed: a question that stands alone, else it and up to so many turns of the user before it, as many as there is room for."""
    turns = 0 if chat.alone else turns
    while turns and len(chat.window(turns)) > _EMBEDDED:
        turns -= 1
    return chat.window(turns)


def pack(chat: Chat, answer: str) -> bytes:
    """Bytes for an entry, some twenty and what the user said. A question whose `answer` takes up what was said did not stand alone."""
    alone = chat.alone and not speaks_of(answer, chat.said[:-1], chat.question)
    packed: bytes = msgpack.packb([chat.said, chat.replies, alone, chat.begun])
    return packed


def objection(asked: Chat, stored: Chat, *, similarity: float) -> str | None:
    """What in the history stands against the stored answer, None when nothing does; of the questions nothing is said. `similarity`: of
    the two windows."""
    if reason := history_veto(asked, stored):
        return reason
    return "history" if len(asked.said) > 1 and similarity < _ALIKE else None


def without_histories(asked: Chat, stored: Chat) -> list[str] | None:
    """What was said before a question that stands alone, as far as anything was; None when it does not, or when the stored one was asked
    after anything: a model may have been told there what to answer, in words that no rule reads."""
    if stored.begun or not (asked.alone and stored.alone):
        return None
    return ["\n".join(asked.said[:-1])] if len(asked.said) > 1 else []


def apart(question: Vector, histories: Iterable[Vector]) -> bool:
    """Whether all of these are about something else than the question."""
    return all(float(question @ history) < _APART for history in histories)


def unpack(stored: bytes) -> Chat | None:
    """The chat, None for anything else: another schema, or an entry of another context."""
    try:
        said, replies, alone, begun = msgpack.unpackb(stored)
    except (ValueError, TypeError, msgpack.UnpackException):
        return None
    whole = isinstance(said, list) and said and all(isinstance(turn, str) for turn in said) and isinstance(replies, bytes)
    return Chat(tuple(said), replies, alone is True, begun) if whole and isinstance(begun, bool) else None
