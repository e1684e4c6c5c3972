"""Under which terms hits were found: outcomes under other terms say nothing about them."""

import hashlib
from functools import lru_cache

from plans.snapshot import CacheSettings


@lru_cache(maxsize=1024)
def basis_of(cache: CacheSettings, judge: str) -> str:
    """16 hex characters of all that decides what is a hit: the plan's match, context, window and threshold, and `judge`, the id of the
    embedder (and of the verifier) whose score it is. When one of them changes, measuring begins anew."""
    terms = (cache.match, cache.context, cache.window if cache.context == "window" else None, cache.similarity_threshold, judge)
    return hashlib.sha256(repr(terms).encode()).hexdigest()[:16]
