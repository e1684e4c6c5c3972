"""What local embedders share: a thread, safe texts, and vectors remembered per tenant."""

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from proxy.core.errors import ToolUnavailable
from proxy.core.types import Vector
from proxy.engines.embedders.comprehension import (
    MIN_COMPREHENSION,
    PieceSplitter,
    measure_comprehension,
)
from proxy.engines.inference.text_queue import TextQueue

MAX_REMEMBERED_VECTORS = 1024


class ThreadedEmbedder(ABC):
    """Runs `_encode` in a thread; the model libraries release the GIL meanwhile.

    A subclass sets `name`, `id` and `dimension` and defines `_encode` and `_open_vocabulary`, which
    may raise anything.
    """

    name: str
    id: str
    dimension: int

    def __init__(self) -> None:
        self._piece_splitter: PieceSplitter | None = None
        self._queue: TextQueue[Vector] = TextQueue(
            self.name, self._encode_units, MAX_REMEMBERED_VECTORS
        )

    async def embed(
        self, text: str, *, tenant: int | None = None, within: float = math.inf
    ) -> Vector:
        """Embed the beginning of the text as a unit vector of shape (dimension,).

        The vector is remembered for `tenant` alone; None is the gateway's own work. Raises
        ToolUnavailable, at once if it would take longer than `within` seconds.
        """
        return await self._queue.read(text, tenant=tenant, within=within)

    async def has_vocabulary_for(self, text: str) -> bool:
        """Whether the vocabulary covers most of the text; see the port."""
        if not self._piece_splitter:
            # In a thread the first time, as the vocabulary may have to be loaded.
            self._piece_splitter = await asyncio.to_thread(self._open_vocabulary)
        return measure_comprehension(text, self._piece_splitter) >= MIN_COMPREHENSION

    async def close(self) -> None:
        """Let the thread end; texts that were not begun are dropped."""
        self._queue.close()

    @abstractmethod
    def _open_vocabulary(self) -> PieceSplitter:
        """Return the function by which the model's tokenizer splits a text. May raise anything."""

    @abstractmethod
    def _encode(self, texts: Sequence[str]) -> Sequence[Vector]:
        """Encode the texts in order as vectors of shape (dimension,) and any length but 0."""

    def _encode_units(self, texts: Sequence[str]) -> list[Vector | ToolUnavailable]:
        return [self._normalize_vector(vector) for vector in self._encode(texts)]

    def _normalize_vector(self, encoded: Vector) -> Vector | ToolUnavailable:
        """Return the vector as float32 of unit length; an error if its shape or length is wrong."""
        vector = np.asarray(encoded, dtype=np.float32).reshape(-1)
        length = float(np.linalg.norm(vector))
        if vector.shape != (self.dimension,) or not 0.0 < length < float("inf"):
            return ToolUnavailable(
                self.name, f"the model gave shape {vector.shape}, length {length:g}"
            )
        unit: Vector = vector / np.float32(length)
        # Several callers share it.
        unit.flags.writeable = False
        return unit
