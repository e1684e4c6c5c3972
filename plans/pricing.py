"""Prices to exact costs. Pure: same tokens and prices, same Decimal."""

from dataclasses import dataclass
from decimal import Decimal

MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars per million tokens. `cached_input` None: the provider gives no discount for a warm prefix. `cache_write` None: it asks
    no more for tokens that it writes into its prefix cache than for others."""

    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None

    def cost(self, *, prompt: int, completion: int, cached: int = 0, written: int = 0) -> Decimal:
        """Dollars for one call. Of the `prompt` tokens `cached` are billed at the cached price, `written` others at that for writing.

        Raises ValueError when a count is negative or `cached` and `written` together exceed `prompt`.
        """
        if min(prompt, completion, cached, written) < 0 or cached + written > prompt:
            counts = f"{prompt=} {completion=} {cached=} {written=}"
            raise ValueError(f"token counts must satisfy 0 <= cached + written <= prompt and completion >= 0, got {counts}")
        read_rate = self.input if self.cached_input is None else self.cached_input
        write_rate = self.input if self.cache_write is None else self.cache_write
        fresh = prompt - cached - written
        return (fresh * self.input + cached * read_rate + written * write_rate + completion * self.output) / MILLION
