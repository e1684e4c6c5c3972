"""A chat about to be cut, its messages counted."""

from collections.abc import Sequence
from dataclasses import dataclass

from proxy.core.compression.turns import Keep, Unit
from proxy.core.ports import Message
from proxy.core.tokens import REPLY_PRIMING


@dataclass(frozen=True)
class Draft:
    """A chat in units, the tokens of each message by the encoding, and the budget for all."""

    messages: list[Message]
    chat: list[Unit]
    counts: Sequence[int]
    encoding: str
    budget: int

    @property
    def protected(self) -> list[int]:
        """Messages by index that go as they are."""
        return [i for unit in self.chat if unit.keep is Keep.PROTECTED for i in unit.messages]

    @property
    def floor(self) -> int:
        """Tokens of a prompt of those alone."""
        return REPLY_PRIMING + sum(self.counts[i] for i in self.protected)
