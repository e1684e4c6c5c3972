"""A chat about to be cut, its messages counted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from proxy.core.compression.units import (
    Unit,
    UnitPolicy,
    choose_placeholder,
    find_final_question,
    has_alternating_turns,
    restore_role_order,
    starts_with_user,
)
from proxy.core.tokens import REPLY_PRIMING_TOKENS, TokenCounter, count_message_tokens, count_text
from proxy.core.types import Message


@dataclass(frozen=True)
class CountedChat:
    """A chat in units, of which those from `final_turn_start` on are the final turn;
    the tokens of each message by the encoding; the budget for all; and what counts a text, for one
    who remembers."""

    messages: list[Message]
    units: list[Unit]
    final_turn_start: int
    message_tokens: Sequence[int]
    encoding: str
    budget_tokens: int
    token_counter: TokenCounter = count_text

    @cached_property
    def protected_messages(self) -> list[Message]:
        """What goes as it is, in an order of roles that providers take."""
        return self.restore_role_order(
            self.list_messages([unit for unit in self.units if unit.policy is UnitPolicy.PROTECTED])
        )

    @cached_property
    def protected_tokens(self) -> int:
        """Tokens of a prompt of those alone."""
        return self.count_prompt_tokens(self.protected_messages)

    @cached_property
    def total_tokens(self) -> int:
        """Tokens of a prompt of all messages."""
        return REPLY_PRIMING_TOKENS + sum(self.message_tokens)

    @property
    def is_within_budget(self) -> bool:
        """Whether nothing has to be cut."""
        return self.total_tokens <= self.budget_tokens

    @cached_property
    def unit_tokens(self) -> list[int]:
        """Tokens of each unit before the final turn; 0 for one that goes as it is."""
        return [
            0 if unit.policy is UnitPolicy.PROTECTED else self.count_unit_tokens(unit)
            for unit in self.units[: self.final_turn_start]
        ]

    @cached_property
    def question(self) -> str:
        """What the final turn asks."""
        return find_final_question(self.messages)

    def count_unit_tokens(self, unit: Unit) -> int:
        return sum(self.message_tokens[i] for i in unit.message_indices)

    def get_unit_role(self, unit: int) -> str:
        """Of the first message of a unit."""
        return str(self.messages[self.units[unit].message_indices[0]].get("role"))

    @cached_property
    def has_alternating_turns(self) -> bool:
        """Whether user and assistant take turns in the chat."""
        return has_alternating_turns(self.messages)

    def restore_role_order(
        self, messages: Iterable[Message], ours: Iterable[Message] = ()
    ) -> list[Message]:
        """Some of the messages in order, those that are `ours` among them,
        with stand-ins that keep the order of roles."""
        return restore_role_order(
            messages,
            ours,
            strict=self.has_alternating_turns,
            user_leads=self.starts_with_user,
            answer=self.assistant_placeholder,
        )

    @cached_property
    def assistant_placeholder(self) -> Message:
        """What stands in for an answer."""
        return choose_placeholder(self.messages)

    def count_prompt_tokens(self, messages: Iterable[Message]) -> int:
        """Of a prompt of messages of the chat and ours, as billed."""
        known = self._tokens_by_id
        return REPLY_PRIMING_TOKENS + sum(
            known.get(id(message))
            or count_message_tokens(message, self.encoding, self.token_counter)
            for message in messages
        )

    def list_messages(self, units: Sequence[Unit]) -> list[Message]:
        """The messages of some units, the very objects that came in."""
        return [self.messages[i] for unit in units for i in unit.message_indices]

    @cached_property
    def starts_with_user(self) -> bool:
        """Whether the chat began with the user."""
        return starts_with_user(self.messages)

    @cached_property
    def _tokens_by_id(self) -> dict[int, int]:
        return {
            id(message): count
            for message, count in zip(self.messages, self.message_tokens, strict=True)
        }
