"""What is sent of a cut chat, in tokens, before it is cut."""

from dataclasses import dataclass

from plans.snapshot import CompressionSettings
from proxy.core.compression.catalogue import ENGINES
from proxy.core.compression.mark import HIGH, LOW
from proxy.core.compression.recall import RECALL
from proxy.core.compression.shape import block_share


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """`head`: system text, the same cut or whole; `block`; `low` and `high` water of the recent
    turns; `recalled`, at most; `budget` for all."""

    head: int
    block: int
    low: int
    high: int
    recalled: int
    budget: int

    @classmethod
    def of(cls, settings: CompressionSettings, head: int = 0) -> "Sizes":
        """What a chat is cut to by a plan. An engine that keeps whole messages keeps others each turn: nothing stays the same."""
        engine, budget = ENGINES[settings.engine], settings.max_input_tokens
        if engine.grain == "message":
            return cls(head=head, block=0, low=0, high=0, recalled=budget, budget=budget)
        block = block_share(budget, focused=settings.focus == "question" and engine.focus is not None)
        low, high, recalled = (round(share * budget) for share in (LOW, HIGH, RECALL))
        return cls(head=head, block=block, low=low, high=high, recalled=recalled, budget=budget)

    def prefix(self, recent: int) -> int:
        """What stays the same until the next mark."""
        return self.head + self.block + recent

    def fresh(self, recent: int) -> int:
        """What is recalled beside so many tokens of recent turns, at most."""
        return max(0, min(self.recalled, self.budget - self.prefix(recent)))
