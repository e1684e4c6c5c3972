"""Read texts with a model in one thread: each once at a time, remembered per tenant."""

import asyncio
import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from proxy.core.errors import ToolUnavailable
from proxy.core.tenant_memory import TenantMemory
from proxy.engines.inference.batch_queue import BatchJob, BatchQueue

# Far more than the few hundred tokens a sentence model reads, and little enough to tokenize in
# milliseconds.
MAX_TEXT_CHARACTERS = 16_384

TextKey = tuple[int | None, bytes]  # tenant id, digest of a text
Result = TypeVar("Result")


class TextQueue(Generic[Result]):
    """`read_batch` runs in the thread and may raise anything; it returns a result for each text."""

    def __init__(
        self,
        name: str,
        read_batch: Callable[[Sequence[str]], Sequence[Result | ToolUnavailable]],
        max_remembered: int,
    ) -> None:
        self._name = name
        self._read_batch = read_batch
        self._queue: BatchQueue[str, Result] = BatchQueue(name, self._compute_outcomes)
        # Per tenant, like running work: by how long a text takes one could tell what another tenant
        # sent lately.
        self._recent: TenantMemory[int | None, bytes, Result] = TenantMemory(max_remembered)
        self._jobs_by_key: dict[TextKey, BatchJob[str, Result]] = {}  # waiting or running

    async def read(
        self, text: str, *, tenant: int | None = None, within: float = math.inf
    ) -> Result:
        """Read the beginning of the text; the result is remembered for `tenant` alone.

        Raises ToolUnavailable, at once if it would take longer than `within` seconds.
        """
        safe = text[:MAX_TEXT_CHARACTERS].encode("utf-8", "replace").decode("utf-8")
        key = (tenant, hashlib.blake2b(safe.encode(), digest_size=16).digest())
        known = self._recent.get(*key)
        if known is not None:
            return known
        job = self._jobs_by_key.get(key)
        if job is None:
            job = self._jobs_by_key[key] = self._queue.add_item(safe, len(safe), within)
            job.result.add_done_callback(lambda done: self._finish_job(key, done))
        # Should the caller leave, the result is there when the text comes again.
        return await self._queue.wait_for_result(job)

    def close(self) -> None:
        """Let the thread end; texts that were not begun are dropped."""
        self._queue.close()

    def _finish_job(self, key: TextKey, done: asyncio.Future[Result]) -> None:
        self._jobs_by_key.pop(key, None)
        if done.cancelled() or done.exception() is not None:
            return
        self._recent.remember(*key, done.result())

    def _compute_outcomes(self, texts: Sequence[str]) -> list[Result | ToolUnavailable]:
        """Read the texts in the thread; per text a result, or why there is none."""
        try:
            return list(self._read_batch(texts))
        except Exception as error:
            # One text that breaks the model must not fail the others.
            if len(texts) > 1:
                return [outcome for text in texts for outcome in self._compute_outcomes([text])]
            if isinstance(error, ToolUnavailable):
                return [error]
            return [ToolUnavailable(self._name, f"{type(error).__name__}: {error}")]
