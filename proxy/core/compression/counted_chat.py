"""A chat to compress, with the tokens of its messages."""

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
    """A chat in units with the tokens of each message and the budget for all."""

    messages: list[Message]
    units: list[Unit]
    # Index of the first unit of the final turn.
    final_turn_start: int
    message_tokens: Sequence[int]
    encoding: str
    budget_tokens: int
    # May be a `Memo`'s.
    token_counter: TokenCounter = count_text

    @cached_property
    def protected_messages(self) -> list[Message]:
        """Protected messages, in a role order that providers accept."""
        return self.restore_role_order(
            self.list_messages([unit for unit in self.units if unit.policy is UnitPolicy.PROTECTED])
        )

    @cached_property
    def protected_tokens(self) -> int:
        """Tokens of a prompt of the protected messages alone."""
        return self.count_prompt_tokens(self.protected_messages)

    @cached_property
    def total_tokens(self) -> int:
        """Tokens of a prompt of all messages."""
        return REPLY_PRIMING_TOKENS + sum(self.message_tokens)

    @property
    def is_within_budget(self) -> bool:
        """Whether nothing has to be removed."""
        return self.total_tokens <= self.budget_tokens

    @cached_property
    def unit_tokens(self) -> list[int]:
        """Tokens of each unit before the final turn; 0 for a protected one."""
        return [
            0 if unit.policy is UnitPolicy.PROTECTED else self.count_unit_tokens(unit)
            for unit in self.units[: self.final_turn_start]
        ]

    @cached_property
    def question(self) -> str:
        """The question of the final turn."""
        return find_final_question(self.messages)

    def count_unit_tokens(self, unit: Unit) -> int:
        return sum(self.message_tokens[i] for i in unit.message_indices)

    def get_unit_role(self, unit: int) -> str:
        """Return the role of a unit's first message."""
        return str(self.messages[self.units[unit].message_indices[0]].get("role"))

    @cached_property
    def has_alternating_turns(self) -> bool:
        """Whether user and assistant alternate in the chat."""
        return has_alternating_turns(self.messages)

    def restore_role_order(
        self, messages: Iterable[Message], ours: Iterable[Message] = ()
    ) -> list[Message]:
        """Insert placeholders where dropped messages broke the order of roles.

        `ours`: those of `messages` that the gateway wrote.
        """
        return restore_role_order(
            messages,
            ours,
            strict=self.has_alternating_turns,
            user_leads=self.starts_with_user,
            answer=self.assistant_placeholder,
        )

    @cached_property
    def assistant_placeholder(self) -> Message:
        """The message inserted in place of a dropped answer."""
        return choose_placeholder(self.messages)

    def count_prompt_tokens(self, messages: Iterable[Message]) -> int:
        """Count the tokens of a prompt of the chat's messages and the gateway's, as billed."""
        known = self._tokens_by_id
        return REPLY_PRIMING_TOKENS + sum(
            known.get(id(message))
            or count_message_tokens(message, self.encoding, self.token_counter)
            for message in messages
        )

    def list_messages(self, units: Sequence[Unit]) -> list[Message]:
        """Return the messages of some units, as the same objects that came in."""
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
