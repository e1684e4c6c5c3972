"""Estimate the cached share of prompts whose usage the provider did not report."""

from typing import Final

from proxy.core.lru import LRUCache

# A stream that breaks off has no usage, and so no cached tokens. At full price the cost of such
# calls would be overestimated, by half the input price and more where prompts begin alike. The
# share is that of the same tenant's calls over the same route, separately for compressed prompts
# since those begin differently, weighted by tokens with exponential decay.
DECAY_PER_CALL: Final = 1 - 1 / 500  # the weight of a call after the next one
MAX_TENANT_ROUTES: Final = 20_000

TenantRoute = tuple[int, int, bool]  # tenant id, route id, whether compressed


class CachedShareEstimator:
    """Estimates from a worker's own calls, in memory; 0 for a tenant's route without any yet."""

    def __init__(self) -> None:
        self._token_sums: LRUCache[TenantRoute, tuple[float, float]] = LRUCache(MAX_TENANT_ROUTES)

    def observe(self, tenant: int, route: int, *, cut: bool, prompt: int, cached: int) -> None:
        """Record that `cached` of the `prompt` tokens were billed at the cached price."""
        prompts, discounted = self._token_sums.get((tenant, route, cut)) or (0.0, 0.0)
        self._token_sums.store_value(
            (tenant, route, cut),
            (prompts * DECAY_PER_CALL + prompt, discounted * DECAY_PER_CALL + cached),
            1,
        )

    def estimate(self, tenant: int, route: int, *, cut: bool, prompt: int) -> int:
        """Estimate how many of `prompt` tokens were billed at the cached price."""
        prompts, discounted = self._token_sums.get((tenant, route, cut)) or (0.0, 0.0)
        return min(prompt, round(prompt * discounted / prompts)) if prompts else 0
