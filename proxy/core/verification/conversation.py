"""Compare chats: whether the answer given in one may be served in another."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import msgpack

from proxy.core.formats.chat_completions import extract_text
from proxy.core.formats.model_input import has_history
from proxy.core.types import Message, Vector
from proxy.core.verification.chat_reading import ChatReading, pack_reading, unpack_reading
from proxy.core.verification.rules.rule_registry import veto_question
from proxy.core.verification.small_talk import strip_reply_small_talk, strip_small_talk
from proxy.core.verification.standalone import (
    is_phrased_standalone,
    refers_to_history,
    stands_alone,
)
from proxy.core.verification.turns import details_differ, veto_turn

# Chats are compared turn by turn, and by the details that each names as a whole.
#
# Small talk does not count. Beyond it the user's turns must be as many and match in order, and the
# details named anywhere must be the same: a chat about other dates, sums, places or people is
# another chat however its last turns read. The assistant's replies must be the same, as they are
# where earlier turns were answered from the cache: "yes, do it" means what was offered, and a
# reworded offer cannot be distinguished from another offer.

TurnComparison = Callable[[str, str], str | None]


@dataclass(frozen=True, slots=True)
class ChatTurns:
    """The turns of a chat without small talk.

    `user_turns`: the user's, the question last. `replies_digest`: of the assistant's replies before
    each of them. `is_standalone`: the question needs none of it
    (`proxy.core.verification.standalone`). `has_history`: anything, also small talk, came before.
    """

    user_turns: tuple[str, ...]
    replies_digest: bytes
    is_standalone: bool = False
    has_history: bool = False

    @property
    def question(self) -> str:
        """The last user turn."""
        return self.user_turns[-1]

    @property
    def is_embedded_alone(self) -> bool:
        """Whether the question is embedded without the turns before it."""
        return self.is_standalone or is_phrased_standalone(self.question)

    def join_last_turns(self, turns: int) -> str:
        """Return the question and up to `turns` user turns before it, one a line, oldest first."""
        return "\n".join(self.user_turns[-1 - turns :])


def build_chat_turns(messages: Sequence[Message]) -> ChatTurns:
    """Build the turns of messages that end with a user's; system messages are no turns."""
    said: list[str] = []
    replied: list[str] = []
    replies = blake2b(digest_size=16)
    reply, asked = "", False
    for message in messages:
        text = extract_text(message) or ""
        if message["role"] == "assistant":
            kept, asked = strip_reply_small_talk(text)
            reply += kept + "\n"
            replied.append(kept)
        elif message["role"] == "user":
            told = text if asked else strip_small_talk(text)
            if told or message is messages[-1]:
                said.append(told or text)
                replies.update(reply.strip().encode(errors="replace") + b"\0")
                reply = ""
    return ChatTurns(
        tuple(said),
        replies.digest(),
        stands_alone(said[-1], said[:-1], replied),
        has_history(messages),
    )


def veto_chat(
    asked: ChatTurns, stored: ChatTurns, *, compare: TurnComparison = veto_turn
) -> str | None:
    """Return why the stored chat's answer must not be served in the one asked, or None."""
    return veto_question(asked.question, stored.question) or veto_history(
        asked, stored, compare=compare
    )


def veto_history(
    asked: ChatTurns, stored: ChatTurns, *, compare: TurnComparison = veto_turn
) -> str | None:
    """Return why the chats differ apart from their last questions, or None.

    `compare` returns why two earlier user turns differ, or None. Symmetric, but for the rule that
    an answer from within a chat never answers a question that begins one.
    """
    # Anybody may have told the model anything before the stored question.
    if stored.has_history and not asked.has_history:
        return "history-length"
    if len(asked.user_turns) != len(stored.user_turns):
        return "history-length"
    if asked.replies_digest != stored.replies_digest:
        return "history-reply"
    # Details of the question itself are compared with the questions.
    if len(asked.user_turns) == 1:
        return None
    if reason := details_differ(asked.user_turns, stored.user_turns):
        return f"history-{reason}"
    earlier = zip(asked.user_turns[:-1], stored.user_turns[:-1], strict=True)
    return next(
        (f"history-{reason}" for ours, theirs in earlier if (reason := compare(ours, theirs))), None
    )


# Under `context: window` a chat is compared as a whole. Below: what of it is embedded, what an
# entry stores of it, and what in it rules a candidate out.
#
# Measured on the dev chats: the user's turns without small talk, as one text, separate chats about
# other things (95 of 100 are below a cosine of .77; 95 of 100 rewordings of a chat above .9). One
# changed detail moves that vector little, and a long history hides another question: so
# `veto_history` compares the details, and the questions are compared by themselves once all else
# agrees. Only then is a vector of the question alone needed, and both texts are at hand: an entry
# stores the turns and no vector of them.

# Characters beyond which chats are compared as under `strict`: of the user's turns, which an entry
# stores, and of all turns, which are read.
_MAX_USER_CHARACTERS, _MAX_CHAT_CHARACTERS = 4096, 16_384
_MAX_MESSAGES = 400  # each takes its time, however short it is
# Characters to embed, some 50 word pieces; the oldest turns are left out. 500 were no better on the
# dev chats, for twice the work.
_MAX_EMBEDDED_CHARACTERS = 200
# Cosine of two windows with history, whatever lower threshold a plan has for questions.
_MIN_WINDOW_SIMILARITY = 0.85
# Cosine of a question and its history from which on they may be related: of pairs written for this,
# 95 of 100 unrelated ones were below .16, 75 of 100 related ones above .17.
_UNRELATED_SIMILARITY_LIMIT = 0.15
# What an entry stores of a chat that is not compared: that there was one.
HISTORY_MARKER = b"begun"


def is_comparable(messages: Sequence[Message]) -> bool:
    """Return whether the chat is short enough to store and compare; else `strict` applies."""
    if len(messages) > _MAX_MESSAGES:
        return False
    sizes = [(message["role"] == "user", len(extract_text(message) or "")) for message in messages]
    return (
        sum(size for _, size in sizes) <= _MAX_CHAT_CHARACTERS
        and sum(size for said, size in sizes if said) <= _MAX_USER_CHARACTERS
    )


def select_look_up_text(question: str, chat: ChatTurns | None, turns: int) -> str:
    """Return the text by whose vector an entry is stored and found; `chat`: if it is compared."""
    return question if chat is None else select_embedded_text(chat, turns)


def select_embedded_text(chat: ChatTurns, turns: int) -> str:
    """Return the text to embed: the question and, unless it reads complete, the window."""
    return chat.question if chat.is_embedded_alone else select_window(chat, turns)


def select_window(chat: ChatTurns, turns: int) -> str:
    """Return the question and user turns before it: at most `turns`, and what there is room for."""
    while turns and len(chat.join_last_turns(turns)) > _MAX_EMBEDDED_CHARACTERS:
        turns -= 1
    return chat.join_last_turns(turns)


def pack_chat(chat: ChatTurns, answer: str, reading: ChatReading | None = None) -> bytes:
    """Pack a chat for an entry: some twenty bytes, the user's turns, and what was read of it."""
    # A question whose answer takes up the history did not stand alone.
    alone = chat.is_standalone and not refers_to_history(
        answer, chat.user_turns[:-1], chat.question
    )
    packed: bytes = msgpack.packb(
        [
            chat.user_turns,
            chat.replies_digest,
            alone,
            chat.has_history,
            pack_reading(reading) if reading else b"",
        ]
    )
    return packed


def are_windows_alike(similarity: float) -> bool:
    """Return whether chats whose turns agree one by one are about the same thing.

    `similarity`: of the two windows.
    """
    return similarity >= _MIN_WINDOW_SIMILARITY


def list_ignorable_histories(asked: ChatTurns, stored: ChatTurns) -> list[str] | None:
    """Return the history before a standalone question, if there is any; None if it may matter.

    It may where either question does not stand alone or the stored one has any history.
    """
    # A model may have been told there what to answer, in words that no rule reads.
    if stored.has_history or not (asked.is_standalone and stored.is_standalone):
        return None
    return ["\n".join(asked.user_turns[:-1])] if len(asked.user_turns) > 1 else []


def is_unrelated(question: Vector, histories: Iterable[Vector]) -> bool:
    """Return whether all histories are about something else than the question."""
    return all(float(question @ history) < _UNRELATED_SIMILARITY_LIMIT for history in histories)


def unpack_chat(stored: bytes) -> ChatTurns | None:
    """Return the packed chat, or None for another schema or an entry of another context."""
    try:
        # A former version stored no reading.
        said, replies, alone, begun, *_ = msgpack.unpackb(stored)
    except (ValueError, TypeError, msgpack.UnpackException):
        return None
    whole = (
        isinstance(said, list)
        and said
        and all(isinstance(turn, str) for turn in said)
        and isinstance(replies, bytes)
    )
    return (
        ChatTurns(tuple(said), replies, alone is True, begun)
        if whole and isinstance(begun, bool)
        else None
    )


def was_asked_within_chat(stored: bytes) -> bool:
    """Return whether what an entry stores of its chat says that something came before."""
    if not stored or stored == HISTORY_MARKER:
        return stored == HISTORY_MARKER
    chat = unpack_chat(stored)
    return chat is None or chat.has_history


def unpack_chat_reading(stored: bytes) -> ChatReading | None:
    """Return what was read of the packed chat, or None if nothing was stored of it."""
    try:
        packed = msgpack.unpackb(stored)[4]
    except (ValueError, TypeError, IndexError, KeyError, msgpack.UnpackException):
        return None
    return unpack_reading(packed) if isinstance(packed, bytes) else None
