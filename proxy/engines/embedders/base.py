"""What every local embedder shares: a thread of its own, texts made safe,
and no text of a tenant embedded twice.

Tenants do not share what is remembered or under way: by how long a text takes one could tell what
another asked lately.
"""

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

# Far more than the few hundred tokens a sentence model reads, and little enough to tokenise in
# milliseconds.
MAX_TEXT_CHARACTERS = 16_384
MAX_REMEMBERED_VECTORS = 1024

TextKey = tuple[int | None, bytes]  # tenant id, digest of a text
Outcome = Vector | ToolUnavailable


class ThreadedEmbedder(ABC):
    """Runs `_encode` in a thread.

    The model libraries release the GIL, so the event loop goes on meanwhile.

    A subclass sets `name`, `id` and `dimension` and defines `_encode` and `_open_vocabulary`, which
    may raise anything.
    """

    name: str
    id: str
    dimension: int

    def __init__(self) -> None:
        self._piece_splitter: PieceSplitter | None = None
        self._queue: BatchQueue[str, Vector] = BatchQueue(self.name, self._compute_outcomes)
        self._recent_vectors: TenantMemory[int | None, bytes, Vector] = TenantMemory(
            MAX_REMEMBERED_VECTORS
        )
        self._jobs_by_key: dict[TextKey, BatchJob[str, Vector]] = {}  # waiting or being embedded

    async def embed(
        self, text: str, *, tenant: int | None = None, within: float = math.inf
    ) -> Vector:
        """The unit vector of shape (dimension,) of the text's beginning,
        remembered for `tenant` alone; None: for the gateway's own work. Raises ToolUnavailable, at
        once when it would take longer than `within` seconds.

        The deadline is the caller's. Work once begun goes on when it leaves: the vector is there
        when the question comes again.
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
            return await asyncio.shield(job.result)
        finally:
            job.callers -= 1

    async def has_vocabulary_for(self, text: str) -> bool:
        """See the port.

        The first time in a thread, for the vocabulary may have to be loaded; then at once.
        """
        if not self._piece_splitter:
            self._piece_splitter = await asyncio.to_thread(self._open_vocabulary)
        return measure_comprehension(text, self._piece_splitter) >= MIN_COMPREHENSION

    async def close(self) -> None:
        """Let the thread end; texts not begun are given up."""
        self._queue.close()

    @abstractmethod
    def _open_vocabulary(self) -> PieceSplitter:
        """How the model's tokenizer takes a text apart. May raise anything."""

    @abstractmethod
    def _encode(self, texts: Sequence[str]) -> Sequence[Vector]:
        """The texts' vectors in their order, each of shape (dimension,) and of any length but 0."""

    def _finish_job(self, key: TextKey, done: asyncio.Future[Vector]) -> None:
        self._jobs_by_key.pop(key, None)
        if done.cancelled() or done.exception() is not None:
            return
        self._recent_vectors.remember(*key, done.result())

    def _compute_outcomes(self, texts: Sequence[str]) -> list[Outcome]:
        """In the thread: a vector for each text, or why there is none.

        One that breaks the model does not take the others along.
        """
        try:
            return [self._normalize_vector(vector) for vector in self._encode(texts)]
        except Exception as error:
            if len(texts) > 1:
                return [outcome for text in texts for outcome in self._compute_outcomes([text])]
            if isinstance(error, ToolUnavailable):
                return [error]
            return [ToolUnavailable(self.name, f"{type(error).__name__}: {error}")]

    def _normalize_vector(self, encoded: Vector) -> Outcome:
        """The vector checked: float32, unit length, read-only because several callers share it."""
        vector = np.asarray(encoded, dtype=np.float32).reshape(-1)
        length = float(np.linalg.norm(vector))
        if vector.shape != (self.dimension,) or not 0.0 < length < float("inf"):
            return ToolUnavailable(
                self.name, f"the model gave shape {vector.shape}, length {length:g}"
            )
        unit: Vector = vector / np.float32(length)
        unit.flags.writeable = False
        return unit
