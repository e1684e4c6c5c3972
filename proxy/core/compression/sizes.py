"""What is sent of a cut chat, in tokens, before it is cut."""

from dataclasses import dataclass

from proxy.core.compression.mark import HIGH, LOW
from proxy.core.compression.shape import GIST, RECALL


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
    def of(cls, budget: int, head: int = 0) -> "Sizes":
        """What a chat is cut to by default."""
        block, low, high, recalled = (round(share * budget) for share in (GIST, LOW, HIGH, RECALL))
        return cls(head=head, block=block, low=low, high=high, recalled=recalled, budget=budget)

    def prefix(self, recent: int) -> int:
        """What stays the same until the next mark."""
        return self.head + self.block + recent

    def fresh(self, recent: int) -> int:
        """What is recalled beside so many tokens of recent turns, at most."""
        return max(0, min(self.recalled, self.budget - self.prefix(recent)))
