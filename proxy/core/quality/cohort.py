"""Cohorts: hits found under other settings say nothing about the present ones."""

import hashlib
from functools import lru_cache

from plans.snapshot import CacheSettings


@lru_cache(maxsize=1024)
def derive_cohort(cache: CacheSettings, judge: str) -> str:
    """Return 16 hex characters of the settings that decide what is a hit and what is a wrong one.

    The plan's match, context, window, threshold and judge model, and `judge`: the id of the
    embedder (and of the verifier) whose score it is. When one changes, measuring starts anew.
    """
    window = cache.window if cache.context == "window" else None
    terms: tuple[object, ...] = (
        cache.match,
        cache.context,
        window,
        cache.threshold,
        judge,
    )
    # Left out where unset: plans without a judge model keep the cohort of their samples.
    if cache.judge_model is not None:
        terms += (cache.judge_model,)
    return hashlib.sha256(repr(terms).encode()).hexdigest()[:16]


def derive_scorer_id(embedder_id: str, verifier_id: str | None) -> str:
    """Return the id of what produces the similarity scores: an embedder, with its verifier."""
    return embedder_id if verifier_id is None else f"{embedder_id}+{verifier_id}"
