"""The messages of a chat that was cut, in roles that every provider takes."""

from dataclasses import dataclass
from functools import cached_property

from proxy.core.compression.draft import Draft
from proxy.core.compression.speech import EARLIER
from proxy.core.compression.transcript import LEFT_OUT
from proxy.core.compression.turns import Keep
from proxy.core.ports import Message

BLOCK_HEAD = f"[{EARLIER.capitalize()}, shortened; {LEFT_OUT} is what was left out]"
RECALL_HEAD = f"[From {EARLIER}, for the message that follows; {LEFT_OUT} is what was left out]"
# Tokens around a transcript, at most: its heading and role, and an answer before and after it.
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
        block, recalled = _transcript(BLOCK_HEAD, self.block), _transcript(RECALL_HEAD, self.recalled)
        protected = written([unit for unit in chat[: self.recent] if unit.keep is Keep.PROTECTED])
        sent = (*protected, *block, *written(chat[self.recent : turn]), *recalled, *written(chat[turn:]))
        return self.draft.in_turn(sent, [*block, *recalled])

    @cached_property
    def tokens(self) -> int:
        """Of all messages, as billed."""
        return self.draft.tokens(self.messages)


def _transcript(head: str, text: str) -> list[Message]:
    return [{"role": "user", "content": f"{head}\n{text}"}] if text else []
