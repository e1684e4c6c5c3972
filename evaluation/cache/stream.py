"""A stream of questions through a cache: what is served is not kept again,
what is not is kept for those to come."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evaluation.cache.figures import Outcome
from evaluation.cache.sets import Query
from proxy.core.types import Vector


class Serves(Protocol):
    """Whether a stored question's answer is served for the one asked, which is so near to it."""

    async def __call__(self, asked: str, stored: str, cosine: float) -> bool: ...


async def replay(
    queries: Sequence[Query], vectors: dict[str, Vector], serves: Serves, *, floor: float, most: int
) -> AsyncIterator[Outcome]:
    """In order.

    The first of the `most` nearest entries above `floor` that `serves` lets pass has the answer.
    """
    kept: NDArray[np.float32] = np.empty(
        (len(queries), len(next(iter(vectors.values())))), dtype=np.float32
    )
    entries: list[Query] = []
    seen: set[str] = set()
    for query in queries:
        vector = vectors[query.text]
        near = kept[: len(entries)] @ vector
        nearest = [
            (float(near[at]), entries[at]) for at in np.argsort(-near)[:most] if near[at] >= floor
        ]
        served = None
        for cosine, entry in nearest:
            if query.text == entry.text or await serves(query.text, entry.text, cosine):
                served = entry
                break
        right = served is not None and served.intent == query.intent
        yield Outcome(query.group, query.intent in seen, served is not None, right)
        if served is None:
            kept[len(entries)] = vector
            entries.append(query)
            seen.add(query.intent)
