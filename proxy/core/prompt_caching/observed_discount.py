"""How much of a route's prompts the provider billed at its cached price lately:
what a call is estimated with whose usage it never told.

A stream that breaks off takes its usage along, and with it the discount of the provider's prefix
cache. Priced in full, what such calls are said to have cost is too much, by half the input price
and more where prompts begin alike. The share is that of the same tenant's calls over the same
route, with and without a cut apart since a cut one begins otherwise, weighed by tokens; older ones
count for less (exponential decay).
"""

from typing import Final

from proxy.core.lru import LRUCache

DECAY_PER_CALL: Final = 1 - 1 / 500  # how much a call counts for after the next one
MAX_TENANT_ROUTES: Final = 20_000

TenantRoute = tuple[int, int, bool]  # tenant id, route id, whether the prompt was cut


class CachedShareEstimator:
    """Of one worker, in memory. A tenant's route that told nothing yet has no discount."""

    def __init__(self) -> None:
        self._token_sums: LRUCache[TenantRoute, tuple[float, float]] = LRUCache(MAX_TENANT_ROUTES)

    def observe(self, tenant: int, route: int, *, cut: bool, prompt: int, cached: int) -> None:
        """A provider told that `cached` of the `prompt` tokens were billed at the lower price."""
        prompts, discounted = self._token_sums.get((tenant, route, cut)) or (0.0, 0.0)
        self._token_sums.store_value(
            (tenant, route, cut),
            (prompts * DECAY_PER_CALL + prompt, discounted * DECAY_PER_CALL + cached),
            1,
        )

    def estimate(self, tenant: int, route: int, *, cut: bool, prompt: int) -> int:
        """Of so many prompt tokens those billed at the lower price, as far as one can tell."""
        prompts, discounted = self._token_sums.get((tenant, route, cut)) or (0.0, 0.0)
        return min(prompt, round(prompt * discounted / prompts)) if prompts else 0
