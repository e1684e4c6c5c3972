"""How long a cache entry is fresh, and how long it is stored."""

import math

from plans.snapshot import CacheSettings


def ttl_with_jitter(cache: CacheSettings, key: str, asked: int | None) -> int:
    """Return the TTL in whole seconds of the entry under this exact key.

    The plan's `ttl` less the key's jitter, or `asked` by the request where that is shorter.
    """
    # By the key, even over 0..ttl_jitter: entries written at once expire one after the other, and
    # the same entry has the same TTL every time.
    share = int(key[:8], 16) / 2**32
    # Rounded up, so that jitter changes no TTL below 1 / ttl_jitter seconds.
    planned = math.ceil(cache.ttl * (1 - cache.ttl_jitter * share))
    return min(asked or planned, planned)


def storage_ttl(cache: CacheSettings, fresh: int) -> int:
    """Return the seconds for which the exact tier stores an entry with this TTL, stale or not."""
    return fresh + max(cache.stale_while_revalidate, cache.stale_if_error)
