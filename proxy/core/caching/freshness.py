"""How long an entry lives, and how long it is kept:
fresh for its time to live, then for as long as it may be served expired."""

import math

from plans.snapshot import CacheSettings


def ttl_with_jitter(cache: CacheSettings, key: str, asked: int | None) -> int:
    """Whole seconds for which the entry under this exact key is fresh:
    the plan's `ttl` less its jitter, or what the request asked for where that is shorter.

    The jitter is the key's own, even over 0..ttl_jitter: entries written at once expire one after
    the other, and the same entry lives as long every time. Rounded up, so that it touches no time
    to live below 1 / ttl_jitter seconds.
    """
    share = int(key[:8], 16) / 2**32
    planned = math.ceil(cache.ttl * (1 - cache.ttl_jitter * share))
    return min(asked or planned, planned)


def storage_ttl(cache: CacheSettings, fresh: int) -> int:
    """Whole seconds for which the exact tier keeps an entry that is fresh for so long."""
    return fresh + max(cache.stale_while_revalidate, cache.stale_if_error)
