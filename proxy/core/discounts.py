"""How much of a route's prompts the provider billed at its cached price lately: what a call is estimated with whose usage it never told.

A stream that breaks off takes its usage along, and with it the discount of the provider's prefix cache. Priced in full, what such calls
are said to have cost is too much, by half the input price and more where prompts begin alike. The share is that of the same route's
calls, with and without a cut apart since a cut one begins otherwise, weighed by tokens; older ones count for less (exponential decay).
"""

from typing import Final

FADE: Final = 1 - 1 / 500  # how much a call counts for after the next one


class Discounts:
    """Of one worker, in memory. A route that told nothing yet has no discount."""

    def __init__(self) -> None:
        self._told: dict[tuple[int, bool], tuple[float, float]] = {}

    def tell(self, route: int, *, cut: bool, prompt: int, cached: int) -> None:
        """A provider told that `cached` of the `prompt` tokens were billed at the lower price."""
        prompts, discounted = self._told.get((route, cut), (0.0, 0.0))
        self._told[route, cut] = (prompts * FADE + prompt, discounted * FADE + cached)

    def expected(self, route: int, *, cut: bool, prompt: int) -> int:
        """Of so many prompt tokens those billed at the lower price, as far as one can tell."""
        prompts, discounted = self._told.get((route, cut), (0.0, 0.0))
        return min(prompt, round(prompt * discounted / prompts)) if prompts else 0
