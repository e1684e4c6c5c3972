"""What local embedders share: a thread, safe texts, and vectors remembered per tenant."""

import asyncio
import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from proxy.core.errors import ToolUnavailable
from proxy.core.tenant_memory import TenantMemory
from proxy.core.types import Vector
from proxy.engines.embedders.comprehension import (
    MIN_COMPREHENSION,
    PieceSplitter,
    measure_comprehension,
)
from proxy.engines.inference.batch_queue import BatchJob, BatchQueue

# Far more than the few hundred tokens a sentence model reads, and little enough to tokenize in
# milliseconds.
MAX_TEXT_CHARACTERS = 16_384
MAX_REMEMBERED_VECTORS = 1024

TextKey = tuple[int | None, bytes]  # tenant id, digest of a text
Outcome = Vector | ToolUnavailable


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
        self._queue: BatchQueue[str, Vector] = BatchQueue(self.name, self._compute_outcomes)
        # Per tenant, like running work: by how long a text takes one could tell what another tenant
        # sent lately.
        self._recent_vectors: TenantMemory[int | None, bytes, Vector] = TenantMemory(
            MAX_REMEMBERED_VECTORS
        )
        self._jobs_by_key: dict[TextKey, BatchJob[str, Vector]] = {}  # waiting or running

    async def embed(
        self, text: str, *, tenant: int | None = None, within: float = math.inf
    ) -> Vector:
        """Embed the beginning of the text as a unit vector of shape (dimension,).

        The vector is remembered for `tenant` alone; None is the gateway's own work. Raises
        ToolUnavailable, at once if it would take longer than `within` seconds.
        """
        safe = text[:MAX_TEXT_CHARACTERS].encode("utf-8", "replace").decode("utf-8")
        key = (tenant, hashlib.blake2b(safe.encode(), digest_size=16).digest())
        known = self._recent_vectors.get(*key)
        if known is not None:
            return known
        job = self._jobs_by_key.get(key)
        if job is None:
            job = self._jobs_by_key[key] = self._queue.add_item(safe, len(safe), within)
            job.result.add_done_callback(lambda done: self._finish_job(key, done))
        job.callers += 1
        try:
            # The deadline is the caller's. Running work goes on when the caller leaves: the vector
            # is there when the question comes again.
            return await asyncio.shield(job.result)
        finally:
            job.callers -= 1

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

    def _finish_job(self, key: TextKey, done: asyncio.Future[Vector]) -> None:
        self._jobs_by_key.pop(key, None)
        if done.cancelled() or done.exception() is not None:
            return
        self._recent_vectors.remember(*key, done.result())

    def _compute_outcomes(self, texts: Sequence[str]) -> list[Outcome]:
        """Embed the texts in the thread; per text a vector, or why there is none."""
        try:
            return [self._normalize_vector(vector) for vector in self._encode(texts)]
        except Exception as error:
            # One text that breaks the model must not fail the others.
            if len(texts) > 1:
                return [outcome for text in texts for outcome in self._compute_outcomes([text])]
            if isinstance(error, ToolUnavailable):
                return [error]
            return [ToolUnavailable(self.name, f"{type(error).__name__}: {error}")]

    def _normalize_vector(self, encoded: Vector) -> Outcome:
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
