"""The messages of a chat that was cut, in roles that every provider takes."""

from dataclasses import dataclass
from functools import cached_property

from proxy.core.compression.draft import Draft
from proxy.core.compression.rendering import LEFT_OUT
from proxy.core.compression.speech import EARLIER
from proxy.core.compression.turns import Keep
from proxy.core.ports import Message

BLOCK_HEAD = f"[{EARLIER.capitalize()}, shortened; {LEFT_OUT} is what was left out]"
RECALL_HEAD = f"[From {EARLIER}, for the message that follows; {LEFT_OUT} is what was left out]"
# Tokens around a transcript, at most: its heading and role, and an answer before and after it.
FRAME = 40


@dataclass(frozen=True)
class Parts:
    """A cut chat: units from `recent` on are whole, of those before it only what is protected is sent; `block` and `recalled` are
    transcripts, or empty. `steady`: `recent` stays where it is while the mark does."""

    draft: Draft
    recent: int
    block: str = ""
    recalled: str = ""
    steady: bool = True

    @cached_property
    def messages(self) -> list[Message]:
        """Those that stay as they were are the very objects that came in."""
        recalled = _transcript(RECALL_HEAD, self.recalled)
        sent = (*self._old, *self._recent, *recalled, *self.draft.written(self.draft.chat[self.draft.turn :]))
        return self.draft.in_turn(sent, [*self._block, *recalled])

    @cached_property
    def stable(self) -> int:
        """How many of the messages, from the first, the next turn begins with too unless the mark moves."""
        return len(self.draft.in_turn([*self._old, *(self._recent if self.steady else ())], self._block))

    @cached_property
    def tokens(self) -> int:
        """Of all messages, as billed."""
        return self.draft.tokens(self.messages)

    @cached_property
    def _block(self) -> list[Message]:
        return _transcript(BLOCK_HEAD, self.block)

    @cached_property
    def _old(self) -> list[Message]:
        """What is sent of the units before the recent ones."""
        return [*self.draft.written([unit for unit in self.draft.chat[: self.recent] if unit.keep is Keep.PROTECTED]), *self._block]

    @cached_property
    def _recent(self) -> list[Message]:
        return self.draft.written(self.draft.chat[self.recent : self.draft.turn])


def _transcript(head: str, text: str) -> list[Message]:
    return [{"role": "user", "content": f"{head}\n{text}"}] if text else []
