"""Plans that cache as another gateway did."""

from typing import Any, Final

# Answers live as long as they did: ours would else expire up to a tenth sooner, by lot.
EXACT_CACHE: Final[dict[str, Any]] = {"exact": True, "backend": None, "ttl_jitter": 0}
# Found by the verifier's score and not by the foreign cosine, which means something else here.
SEMANTIC_CACHE: Final[dict[str, Any]] = {"exact": True, "ttl_jitter": 0}
SEMANTIC_REASON: Final = (
    "Questions are compared in PostgreSQL, by this gateway's embedder and verifier at its default "
    "threshold: try the plan in shadow mode first (mode: shadow)."
)


def build_cache_plan(*, is_semantic: bool, ttl_seconds: int) -> dict[str, Any]:
    """Build a plan that caches and does not compress, as a configuration file has it."""
    cache = SEMANTIC_CACHE if is_semantic else EXACT_CACHE
    return {"compression": None, "cache": cache | {"ttl": ttl_seconds}}


def read_ttl(given: Any) -> int | None:
    """Return a time to live in whole seconds; None if it cannot be a plan's."""
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    if not 1 <= given < 2**31 or given != int(given):
        return None
    return int(given)
