"""May the answer to a question at the end of one chat be given at the end of another? Turn by turn, and by what both name as a whole.

Small talk counts for nothing. Beyond it the user's turns must be as many and pair up in order, and what they name anywhere must be named
in both: a chat about other dates, sums, places or people is another chat however its last turns read. The assistant's replies must be the
same, as they are where earlier turns were answered from the cache: "yes, do it" means what was offered, and two replies in different
words cannot be told from two offers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from proxy.core.chat import text_of
from proxy.core.model_input import has_history
from proxy.core.ports import Message
from proxy.core.verify.alone import stands_alone
from proxy.core.verify.chatter import reply_without_small_talk, without_small_talk
from proxy.core.verify.details import details_differ
from proxy.core.verify.turn import turn_veto
from proxy.core.verify.verdict import veto

Compare = Callable[[str, str], str | None]


@dataclass(frozen=True, slots=True)
class Chat:
    """What was said, without small talk: `said` by the user, the question last; `replies`: a digest of what the assistant said before each
    of these; `alone`: the question needs none of it (`proxy.core.verify.alone`); `begun`: something, small talk or more, was said
    before it."""

    said: tuple[str, ...]
    replies: bytes
    alone: bool = False
    begun: bool = False

    @property
    def question(self) -> str:
        """The last thing said."""
        return self.said[-1]

    def window(self, turns: int) -> str:
        """The question and the user's last so many turns before it, one a line, oldest first."""
        return "\n".join(self.said[-1 - turns :])


def chat_of(messages: Sequence[Message]) -> Chat:
    """The chat of messages that end with a user's. Instructions of the system are no turns."""
    said: list[str] = []
    replied: list[str] = []
    replies = blake2b(digest_size=16)
    reply, asked = "", False
    for message in messages:
        text = text_of(message) or ""
        if message["role"] == "assistant":
            kept, asked = reply_without_small_talk(text)
            reply += kept + "\n"
            replied.append(kept)
        elif message["role"] == "user":
            told = text if asked else without_small_talk(text)
            if told or message is messages[-1]:
                said.append(told or text)
                replies.update(reply.strip().encode(errors="replace") + b"\0")
                reply = ""
    return Chat(tuple(said), replies.digest(), stands_alone(said[-1], said[:-1], replied), has_history(messages))


def veto_chat(asked: Chat, stored: Chat, *, compare: Compare = turn_veto) -> str | None:
    """Why the stored chat's answer must not be served in the one asked, by the rules; None when nothing objects."""
    return veto(asked.question, stored.question) or history_veto(asked, stored, compare=compare)


def history_veto(asked: Chat, stored: Chat, *, compare: Compare = turn_veto) -> str | None:
    """What in the chats objects, their last questions apart. `compare` judges each pair of earlier turns of the users: why they say
    different things, or None. The same both ways round but for this: what was asked in a chat never answers a question that begins
    one, as anybody may have told the model anything before."""
    if stored.begun and not asked.begun:
        return "history-length"
    if len(asked.said) != len(stored.said):
        return "history-length"
    if asked.replies != stored.replies:
        return "history-reply"
    if len(asked.said) == 1:  # what the question itself names is for those who compare the questions
        return None
    if reason := details_differ(asked.said, stored.said):
        return f"history-{reason}"
    earlier = zip(asked.said[:-1], stored.said[:-1], strict=True)
    return next((f"history-{reason}" for ours, theirs in earlier if (reason := compare(ours, theirs))), None)
