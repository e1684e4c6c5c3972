"""Question vectors in any number, shaped like those of real questions:
what the semantic benchmarks fill their buckets with.

Random directions would not do: in 128 dimensions they are all equally far apart, and an HNSW index
finds its way among them badly and slowly. So a vector here is a real question's, moved part of the
way to one of its nearest neighbours and then along the difference of two further real ones. It
stays where questions lie, and thousands of "wordings" gather around each of them.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import fow_cache
import numpy as np
from numpy.typing import NDArray

from proxy.core.text.normalize import fold_text
from proxy.core.types import Vector
from proxy.engines.embedders.onnx import OnnxEmbedder
from proxy.engines.embedders.words import WordEmbedder

NEIGHBOURS = 20
TOWARDS = 0.5  # at most so far to the neighbour
ASIDE = 0.4  # at most so many times the difference of two others
CHUNK = 20_000
LONGEST = 300  # characters of a question taken from a chat


def real_questions() -> list[str]:
    """The distinct questions of the package fow-cache (CC BY 4.0, Mabon ap Gwyn),
    those of its pairs first, then those of its chats."""
    pairs = [row[side] for row in fow_cache.load_questions() for side in "ab"]
    chats = [
        message["content"]
        for row in fow_cache.load_conversations()
        for side in "ab"
        for message in row[side]
        if message["role"] == "user"
    ]
    return list(dict.fromkeys([*pairs, *(text for text in chats if len(text) <= LONGEST)]))


def embedded(texts: list[str], models: Path) -> Vector:
    """Unit vectors by which the default finds entries, shape (texts, 128).

    `models`: where it was exported to. Raises ToolUnavailable.
    """

    async def each() -> list[Vector]:
        embedder = WordEmbedder(models, OnnxEmbedder(models))
        return [await embedder.embed(fold_text(text)) for text in texts]

    return np.stack(asyncio.run(each()))


def around(real: Vector, count: int, *, seed: int) -> Iterator[tuple[NDArray[np.int64], Vector]]:
    """`count` unit vectors around the real ones, in chunks of up to 20,000:
    the numbers of the questions they are wordings of, shape (n,), and the vectors, shape (n, 128).
    The same seed gives the same."""
    source = np.random.default_rng(seed)
    similar = real @ real.T
    np.fill_diagonal(similar, -1.0)
    near = np.argpartition(-similar, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        own = source.integers(len(real), size=size)
        neighbour = near[own, source.integers(NEIGHBOURS, size=size)]
        one, other = source.integers(len(real), size=(2, size))
        share, aside = (
            source.uniform(0, most, (size, 1)).astype(np.float32) for most in (TOWARDS, ASIDE)
        )
        moved = (
            (1 - share) * real[own] + share * real[neighbour] + aside * (real[one] - real[other])
        )
        yield own, moved / np.linalg.norm(moved, axis=1, keepdims=True)


def entries(real: Vector, count: int, *, seed: int) -> Vector:
    """The vectors of `around` in one piece, shape (count, 128)."""
    return np.concatenate([moved for _, moved in around(real, count, seed=seed)])
