"""A chat about to be cut, its messages counted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from proxy.core.compression.units import Keep, Unit, final_question, in_turn, noted, takes_turns, user_first
from proxy.core.tokens import REPLY_PRIMING, Count, count_message, count_text
from proxy.core.types import Message


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

    @cached_property
    def protected(self) -> list[Message]:
        """What goes as it is, in an order of roles that providers take."""
        return self.in_turn(self.written([unit for unit in self.chat if unit.keep is Keep.PROTECTED]))

    @cached_property
    def floor(self) -> int:
        """Tokens of a prompt of those alone."""
        return self.tokens(self.protected)

    @cached_property
    def total(self) -> int:
        """Tokens of a prompt of all messages."""
        return REPLY_PRIMING + sum(self.counts)

    @property
    def fits(self) -> bool:
        """Whether nothing has to be cut."""
        return self.total <= self.budget

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

    @cached_property
    def alternates(self) -> bool:
        """Whether user and assistant take turns in the chat."""
        return takes_turns(self.messages)

    def in_turn(self, messages: Iterable[Message], ours: Iterable[Message] = ()) -> list[Message]:
        """Some of the messages in order, those that are `ours` among them, with stand-ins that keep the order of roles."""
        return in_turn(messages, ours, strict=self.alternates, user_leads=self.user_leads, answer=self.noted)

    @cached_property
    def noted(self) -> Message:
        """What stands in for an answer."""
        return noted(self.messages)

    def tokens(self, messages: Iterable[Message]) -> int:
        """Of a prompt of messages of the chat and ours, as billed."""
        known = self._known
        return REPLY_PRIMING + sum(known.get(id(message)) or count_message(message, self.encoding, self.count) for message in messages)

    def written(self, units: Sequence[Unit]) -> list[Message]:
        """The messages of some units, the very objects that came in."""
        return [self.messages[i] for unit in units for i in unit.messages]

    @cached_property
    def user_leads(self) -> bool:
        """Whether the chat began with the user."""
        return user_first(self.messages)

    @cached_property
    def _known(self) -> dict[int, int]:
        return {id(message): count for message, count in zip(self.messages, self.counts, strict=True)}
