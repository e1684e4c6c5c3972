"""Prices to exact costs. Pure: same tokens and prices, same Decimal."""

from dataclasses import dataclass
from decimal import Decimal

MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars per million tokens. `cached_input` None: the provider gives no discount for a warm prefix."""

    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None

    def cost(self, *, prompt: int, completion: int, cached: int = 0) -> Decimal:
        """Dollars for one call. `cached` of the `prompt` tokens are billed at the cached price.

        Raises ValueError when a count is negative or `cached` exceeds `prompt`.
        """
        if min(prompt, completion, cached) < 0 or cached > prompt:
            raise ValueError(f"token counts must satisfy 0 <= cached <= prompt and completion >= 0, got {prompt=} {completion=} {cached=}")
        cached_rate = self.input if self.cached_input is None else self.cached_input
        return ((prompt - cached) * self.input + cached * cached_rate + completion * self.output) / MILLION
