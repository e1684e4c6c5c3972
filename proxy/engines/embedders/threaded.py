"""What every local embedder shares: its own threads, texts made safe, and no text embedded twice."""

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from proxy.core.errors import ToolUnavailable
from proxy.core.ports import Vector

# Far more than the few hundred tokens a sentence model reads, and little enough to tokenise in milliseconds.
MAX_CHARACTERS = 16_384
REMEMBERED = 1024
# Texts waiting or being embedded. What stands behind so many would be ready after its caller had given up, and keep others waiting.
QUEUE = 64


class ThreadedEmbedder(ABC):
    """Runs `_encode` in threads of its own. The model libraries release the GIL, so the event loop goes on meanwhile.

    A subclass sets `name`, `id` and `dimension` and defines `_encode`, which runs in those threads and may raise anything.
    """

    name: str
    id: str
    dimension: int

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="embed")
        self._recent: OrderedDict[bytes, Vector] = OrderedDict()
        self._running: dict[bytes, asyncio.Future[Vector]] = {}

    async def embed(self, text: str) -> Vector:
        """The unit vector of shape (dimension,) of the text's beginning. Raises ToolUnavailable.

        The deadline is the caller's. One that leaves does not stop the work: the vector is there when the question comes again.
        """
        safe = text[:MAX_CHARACTERS].encode("utf-8", "replace").decode("utf-8")
        key = hashlib.blake2b(safe.encode(), digest_size=16).digest()
        known = self._recent.get(key)
        if known is not None:
            self._recent.move_to_end(key)
            return known
        running = self._running.get(key)
        if running is None:
            running = self._start(key, safe)
        try:
            return await asyncio.shield(running)
        except ToolUnavailable:
            raise
        except Exception as error:
            raise ToolUnavailable(self.name, f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Let the threads end; texts not begun are given up."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @abstractmethod
    def _encode(self, text: str) -> Vector:
        """The text's vector, shape (dimension,), of any length but 0."""

    def _start(self, key: bytes, text: str) -> asyncio.Future[Vector]:
        if len(self._running) >= QUEUE:
            raise ToolUnavailable(self.name, f"busy with {QUEUE} other texts")
        try:
            running = asyncio.get_running_loop().run_in_executor(self._threads, self._vector, text)
        except RuntimeError as error:  # shut down
            raise ToolUnavailable(self.name, "closed") from error
        self._running[key] = running
        running.add_done_callback(lambda done: self._finish(key, done))
        return running

    def _finish(self, key: bytes, done: asyncio.Future[Vector]) -> None:
        self._running.pop(key, None)
        if done.cancelled() or done.exception() is not None:
            return
        self._recent[key] = done.result()
        if len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)

    def _vector(self, text: str) -> Vector:
        """`_encode`, its result checked: float32, unit length, read-only because several callers share it."""
        vector = np.asarray(self._encode(text), dtype=np.float32).reshape(-1)
        length = float(np.linalg.norm(vector))
        if vector.shape != (self.dimension,) or not 0.0 < length < float("inf"):
            raise ToolUnavailable(self.name, f"the model gave shape {vector.shape}, length {length:g}")
        unit: Vector = vector / np.float32(length)
        unit.flags.writeable = False
        return unit
