"""The decisions that are compared, each in this process, as the gateway takes them."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from evaluation.cache.figures import Outcome
from evaluation.cache.sets import Pair
from proxy.core.chat import text_of
from proxy.core.ports import Vector
from proxy.core.verify.fold import fold
from proxy.core.verify.verdict import veto
from proxy.engines.embedders.onnx import OnnxEmbedder

THRESHOLD = 0.85  # the guide's, and a plan's default
BATCH = 64


class Judge:
    """`seconds`: what the second check took, in all its decisions."""

    def __init__(self, models: Path) -> None:
        self._embedder = OnnxEmbedder(models)
        self.vectors: dict[str, Vector] = {}
        self.seconds: list[float] = []

    async def read(self, texts: Iterable[str]) -> None:
        """Embed what has not been embedded yet."""
        waiting = [text for text in dict.fromkeys(texts) if text not in self.vectors]
        for at in range(0, len(waiting), BATCH):
            batch = waiting[at : at + BATCH]
            found = await asyncio.gather(*(self._embedder.embed(fold(text)) for text in batch))
            self.vectors |= zip(batch, found, strict=True)

    def cosine(self, asked: str, stored: str) -> float:
        return float(np.dot(self.vectors[asked], self.vectors[stored]))

    def agrees(self, asked: str, stored: str) -> bool:
        """Whether no rule objects."""
        begun = time.perf_counter()
        reason = veto(asked, stored)
        self.seconds.append(time.perf_counter() - begun)
        return reason is None


def question(pair_side: Sequence[dict[str, object]]) -> str:
    """The text of the last message."""
    return text_of(pair_side[-1]) or ""


def by_cosine(judge: Judge, rows: Sequence[Pair], *, rules: bool) -> list[Outcome]:
    """The last message alone: near enough, and, with `rules`, without an objection."""
    found = []
    for row in rows:
        asked, stored = question(row.asked), question(row.stored)
        served = judge.cosine(asked, stored) >= THRESHOLD and (not rules or judge.agrees(asked, stored))
        found.append(Outcome(row.group, row.same, served, row.same))
    return found
