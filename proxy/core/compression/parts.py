"""The messages of a chat that was cut, in roles that every provider takes."""

from dataclasses import dataclass
from functools import cached_property

from proxy.core.compression.draft import Draft
from proxy.core.compression.transcript import LEFT_OUT
from proxy.core.compression.turns import Keep
from proxy.core.ports import Message
from proxy.core.tokens import REPLY_PRIMING, count_message

BLOCK_HEAD = f"[Earlier in this conversation, shortened; {LEFT_OUT} is what was left out]"
RECALL_HEAD = f"[From earlier in this conversation, for the message that follows; {LEFT_OUT} is what was left out]"
# Between a transcript and another message of the user's: the chat templates of Gemma, Mistral and others want the two to take turns.
NOTED: Message = {"role": "assistant", "content": "Noted."}
# Tokens around a transcript, at most: its heading and role, and an answer to it.
FRAME = 40


@dataclass(frozen=True)
class Parts:
    """A cut chat: units from `recent` on are whole, of those before it only what is protected is sent; `block` and `recalled` are
    transcripts, or empty."""

    draft: Draft
    recent: int
    block: str = ""
    recalled: str = ""

    @cached_property
    def messages(self) -> list[Message]:
        """Those that stay as they were are the very objects that came in."""
        chat, turn, written = self.draft.chat, self.draft.turn, self.draft.written
        groups = (
            (written([unit for unit in chat[: self.recent] if unit.keep is Keep.PROTECTED]), False),
            (_transcript(BLOCK_HEAD, self.block), True),
            (written(chat[self.recent : turn]), False),
            (_transcript(RECALL_HEAD, self.recalled), True),
            (written(chat[turn:]), False),
        )
        sent: list[Message] = []
        ours_before = False
        for group, ours in groups:
            if group:
                if (ours or ours_before) and sent and sent[-1].get("role") == group[0].get("role") == "user":
                    sent.append(NOTED)
                sent += group
                ours_before = ours
        return sent

    @cached_property
    def tokens(self) -> int:
        """Of all messages, as billed."""
        known = {id(message): count for message, count in zip(self.draft.messages, self.draft.counts, strict=True)}
        counts = (known.get(id(message)) or count_message(message, self.draft.encoding, self.draft.count) for message in self.messages)
        return REPLY_PRIMING + sum(counts)


def _transcript(head: str, text: str) -> list[Message]:
    return [{"role": "user", "content": f"{head}\n{text}"}] if text else []
