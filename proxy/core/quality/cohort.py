"""Under which terms hits were found: outcomes under other terms say nothing about them."""

import hashlib
from functools import lru_cache

from plans.snapshot import CacheSettings


@lru_cache(maxsize=1024)
def derive_cohort(cache: CacheSettings, judge: str) -> str:
    """16 hex characters of all that decides what is a hit:
    the plan's match, context, window and threshold, and `judge`, the id of the embedder (and of the
    verifier) whose score it is; and the judge model by whom wrong ones are told. When one of them
    changes, measuring begins anew."""
    window = cache.window if cache.context == "window" else None
    terms: tuple[object, ...] = (
        cache.match,
        cache.context,
        window,
        cache.similarity_threshold,
        judge,
    )
    # Plans without one keep the terms that their samples were taken on.
    if cache.judge_model is not None:
        terms += (cache.judge_model,)
    return hashlib.sha256(repr(terms).encode()).hexdigest()[:16]
