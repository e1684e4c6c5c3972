"""A chat about to be cut, its messages counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from proxy.core.compression.turns import Keep, Unit, final_question
from proxy.core.ports import Message
from proxy.core.tokens import REPLY_PRIMING, Count, count_text


@dataclass(frozen=True)
class Draft:
    """A chat in units, of which those from `turn` on are the final turn; the tokens of each message by the encoding; the budget for all;
    and what counts a text, for one who remembers."""

    messages: list[Message]
    chat: list[Unit]
    turn: int
    counts: Sequence[int]
    encoding: str
    budget: int
    count: Count = count_text

    @property
    def protected(self) -> list[int]:
        """Messages by index that go as they are."""
        return [i for unit in self.chat if unit.keep is Keep.PROTECTED for i in unit.messages]

    @cached_property
    def floor(self) -> int:
        """Tokens of a prompt of those alone."""
        return REPLY_PRIMING + sum(self.counts[i] for i in self.protected)

    @cached_property
    def costs(self) -> list[int]:
        """Tokens of each unit before the final turn; 0 for one that goes as it is."""
        return [0 if unit.keep is Keep.PROTECTED else self.cost(unit) for unit in self.chat[: self.turn]]

    @cached_property
    def question(self) -> str:
        """What the final turn asks."""
        return final_question(self.messages)

    def cost(self, unit: Unit) -> int:
        return sum(self.counts[i] for i in unit.messages)

    def role(self, unit: int) -> str:
        """Of the first message of a unit."""
        return str(self.messages[self.chat[unit].messages[0]].get("role"))

    def written(self, units: Sequence[Unit]) -> list[Message]:
        """The messages of some units, the very objects that came in."""
        return [self.messages[i] for unit in units for i in unit.messages]
