"""Whether the answer after one chat may be given after another."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import msgpack

from proxy.core.formats.chat_completions import extract_text
from proxy.core.formats.model_input import has_history
from proxy.core.types import Message, Vector
from proxy.core.verification.rules.registry import veto_question
from proxy.core.verification.small_talk import strip_reply_small_talk, strip_small_talk
from proxy.core.verification.standalone import refers_to_history, stands_alone
from proxy.core.verification.turns import details_differ, veto_turn

# May the answer to a question at the end of one chat be given at the end of another? Turn by turn,
# and by what both name as a whole.
#
# Small talk counts for nothing. Beyond it the user's turns must be as many and pair up in order,
# and what they name anywhere must be named in both: a chat about other dates, sums, places or
# people is another chat however its last turns read. The assistant's replies must be the same, as
# they are where earlier turns were answered from the cache: "yes, do it" means what was offered,
# and two replies in different words cannot be told from two offers.

TurnComparison = Callable[[str, str], str | None]


@dataclass(frozen=True, slots=True)
class ChatTurns:
    """What was said, without small talk: `user_turns` by the user, the question last;
    `replies_digest`: a digest of what the assistant said before each of these; `is_standalone`: the
    question needs none of it (`proxy.core.verification.standalone`); `has_history`: something,
    small talk or more, was said before it."""

    user_turns: tuple[str, ...]
    replies_digest: bytes
    is_standalone: bool = False
    has_history: bool = False

    @property
    def question(self) -> str:
        """The last thing said."""
        return self.user_turns[-1]

    def join_last_turns(self, turns: int) -> str:
        """The question and the user's last so many turns before it, one a line, oldest first."""
        return "\n".join(self.user_turns[-1 - turns :])


def build_chat_turns(messages: Sequence[Message]) -> ChatTurns:
    """The chat of messages that end with a user's. Instructions of the system are no turns."""
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
    """Why the stored chat's answer must not be served in the one asked, by the rules;
    None when nothing objects."""
    return veto_question(asked.question, stored.question) or veto_history(
        asked, stored, compare=compare
    )


def veto_history(
    asked: ChatTurns, stored: ChatTurns, *, compare: TurnComparison = veto_turn
) -> str | None:
    """What in the chats objects, their last questions apart.

    `compare` judges each pair of earlier turns of the users: why they say different things, or
    None. The same both ways round but for this: what was asked in a chat never answers a question
    that begins one, as anybody may have told the model anything before.
    """
    if stored.has_history and not asked.has_history:
        return "history-length"
    if len(asked.user_turns) != len(stored.user_turns):
        return "history-length"
    if asked.replies_digest != stored.replies_digest:
        return "history-reply"
    # What the question itself names is for those who compare the questions.
    if len(asked.user_turns) == 1:
        return None
    if reason := details_differ(asked.user_turns, stored.user_turns):
        return f"history-{reason}"
    earlier = zip(asked.user_turns[:-1], stored.user_turns[:-1], strict=True)
    return next(
        (f"history-{reason}" for ours, theirs in earlier if (reason := compare(ours, theirs))), None
    )


# A chat compared as a whole (`context: window`): what of it is embedded, what of it an entry keeps,
# and what stands against a neighbour.
#
# Measured on the dev chats: the user's turns without small talk, as one text, tell chats about
# other things apart (95 of 100 below a cosine of .77; the same chat reworded 95 of 100 above .9).
# One changed detail moves that text little, and a long history hides another question: so
# `proxy.core.verification.conversation` looks at the details, and the questions are compared by
# themselves once all else agrees. Only then is a vector of the question alone needed, and both
# texts are at hand: an entry keeps what was said and no vector of it.

# Characters beyond which the earlier turns must be the same: of what the user said, which an entry
# keeps, and in all, which is read.
_MAX_USER_CHARACTERS, _MAX_CHAT_CHARACTERS = 4096, 16_384
_MAX_MESSAGES = 400  # each takes its time, however short it is
# Characters to embed, some 50 word pieces; the oldest turns are left out. With 500 the dev chats
# fare no better, for twice the work.
_MAX_EMBEDDED_CHARACTERS = 200
# Cosine of two windows with history, whatever lower threshold a plan has for questions.
_MIN_WINDOW_SIMILARITY = 0.85
# Cosine of a question and what was said before it, from which on they may have to do with each
# other: of pairs written for this, 95 of 100 that had not were below .16, 75 of 100 that had above
# .17.
_UNRELATED_SIMILARITY_LIMIT = 0.15
# What an entry keeps of a chat that is not compared: that there was one.
HISTORY_MARKER = b"begun"


def is_comparable(messages: Sequence[Message]) -> bool:
    """Whether the chat is short enough to be kept and compared;
    a longer one is compared as under `strict`."""
    if len(messages) > _MAX_MESSAGES:
        return False
    sizes = [(message["role"] == "user", len(extract_text(message) or "")) for message in messages]
    return (
        sum(size for _, size in sizes) <= _MAX_CHAT_CHARACTERS
        and sum(size for said, size in sizes if said) <= _MAX_USER_CHARACTERS
    )


def select_embedded_text(chat: ChatTurns, turns: int) -> str:
    """What to embed: a question that stands alone, else it and up to
    so many turns of the user before it, as many as there is room for."""
    turns = 0 if chat.is_standalone else turns
    while turns and len(chat.join_last_turns(turns)) > _MAX_EMBEDDED_CHARACTERS:
        turns -= 1
    return chat.join_last_turns(turns)


def pack_chat(chat: ChatTurns, answer: str) -> bytes:
    """Bytes for an entry, some twenty and what the user said.

    A question whose `answer` takes up what was said did not stand alone.
    """
    alone = chat.is_standalone and not refers_to_history(
        answer, chat.user_turns[:-1], chat.question
    )
    packed: bytes = msgpack.packb([chat.user_turns, chat.replies_digest, alone, chat.has_history])
    return packed


def history_conflict(asked: ChatTurns, stored: ChatTurns, *, similarity: float) -> str | None:
    """What in the history stands against the stored answer, None when nothing does;
    of the questions nothing is said. `similarity`: of the two windows."""
    if reason := veto_history(asked, stored):
        return reason
    return "history" if len(asked.user_turns) > 1 and similarity < _MIN_WINDOW_SIMILARITY else None


def list_ignorable_histories(asked: ChatTurns, stored: ChatTurns) -> list[str] | None:
    """What was said before a question that stands alone, as far as anything was;
    None when it does not, or when the stored one was asked after anything: a model may have been
    told there what to answer, in words that no rule reads."""
    if stored.has_history or not (asked.is_standalone and stored.is_standalone):
        return None
    return ["\n".join(asked.user_turns[:-1])] if len(asked.user_turns) > 1 else []


def is_unrelated(question: Vector, histories: Iterable[Vector]) -> bool:
    """Whether all of these are about something else than the question."""
    return all(float(question @ history) < _UNRELATED_SIMILARITY_LIMIT for history in histories)


def unpack_chat(stored: bytes) -> ChatTurns | None:
    """The chat, None for anything else: another schema, or an entry of another context."""
    try:
        said, replies, alone, begun = msgpack.unpackb(stored)
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
