"""Worker processes that compress, and which of them takes the next conversation."""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from plans.snapshot import CompressionSettings
from proxy.core.compression.compress import (
    FALLBACK_ENGINE,
    check_within_budget,
    compress,
    count_text_bytes,
)
from proxy.core.compression.preview import Preview
from proxy.core.compression.results import CompressionResult, CompressionTerms
from proxy.core.errors import ToolUnavailable
from proxy.core.event_loop import MAX_INLINE_BYTES, run_off_loop
from proxy.core.types import Message
from proxy.engines.compressors.process import WORKER_ERRORS, WorkerProcess
from proxy.engines.compressors.replies import parse_preview, parse_result
from proxy.engines.compressors.worker import build_job

# Compression runs in worker processes, so that no conversation, however long or hostile, blocks the
# event loop.
#
# A worker is a child process fed through pipes (see `process` and `worker`): it can be killed at
# its deadline, which a thread cannot and a ProcessPoolExecutor does not offer; it never forks a
# threaded parent; and it ends when its stdin closes, that is, when the parent dies.

logger = logging.getLogger(__name__)
# Loads what a job needs; long enough for a block. It takes half a second, many times that on a
# machine in trouble.
WARM_UP_JOB = build_job(
    [
        {"role": "user", "content": "One order. Two orders came. " * 200},
        {"role": "user", "content": "Which order?"},
    ],
    CompressionSettings(engine="text_rank", max_input_tokens=1024),
    "",
)
START_TIMEOUT_SECONDS = 60.0
RETRY_DELAY_SECONDS = 1.0
MAX_TRIM_THREADS, MAX_RUNNING_TRIMS = 2, 16
TRIM_TIMEOUT_SECONDS = 5.0


class PoolCompressor:
    """Implements the `Compressor` port with `workers` processes.

    `deadline`: seconds for a job, queueing included; `queue`: jobs that may wait; `words`: a table
    of `WordVectors`, for conversations ranked by the question. A job takes at most the deadline and
    TRIM_TIMEOUT_SECONDS: if it is late (`deadline`), if it broke its worker or all are broken
    (`pool-broken`) or if the queue is full (`busy`), the conversation is trimmed in a thread
    instead, and the result's `note` says so. A broken worker is restarted in the background. Raises
    ToolUnavailable if even `trim` fails.
    """

    def __init__(
        self, *, workers: int = 1, deadline: float = 5.0, queue: int = 16, words: Path | None = None
    ) -> None:
        self._workers = [WorkerProcess(words) for _ in range(workers)]
        self._selector = WorkerSelector(self._workers)
        self._broken_workers: set[WorkerProcess] = set()
        self._start_tasks: set[asyncio.Task[None]] = set()
        self._job_tasks: set[asyncio.Task[bytes | str]] = set()
        self._is_started = self._is_closed = False
        self._job_timeout_seconds = deadline
        self._trim_threads = ThreadPoolExecutor(MAX_TRIM_THREADS, thread_name_prefix="trim")
        self._running_trims = 0
        self._max_jobs = workers + queue
        self.restart_count = 0

    async def warm_workers(self, *, patience: float = 20.0) -> None:
        """Start the workers and load what a first job needs, so that no request pays for it.

        Returns when they answer, or after `patience` seconds while they go on starting.
        """
        self._start_workers()
        if self._start_tasks:
            await asyncio.wait(self._start_tasks, timeout=patience)

    async def compress(
        self,
        messages: list[Message],
        settings: CompressionSettings,
        *,
        model: str,
        terms: CompressionTerms | None = None,
        tenant: int | None = None,
    ) -> CompressionResult:
        """Compress a conversation; see `proxy.core.compression.compress`."""
        # A short conversation within its budget needs no worker.
        if cut := check_within_budget(messages, settings, model=model):
            return cut
        large = count_text_bytes(messages, enough=MAX_INLINE_BYTES)
        request = await run_off_loop(
            large, build_job, messages, settings, model, terms=terms, tenant=tenant
        )
        reply = await self._wait_for_reply(
            settings.deadline_ms, self._request_reply(messages, request)
        )
        done = (
            await run_off_loop(large, parse_result, reply, messages)
            if isinstance(reply, bytes)
            else reply
        )
        return (
            await self._trim_chat(messages, settings, model, done, terms)
            if isinstance(done, str)
            else done
        )

    async def preview(
        self,
        messages: list[Message],
        settings: CompressionSettings,
        *,
        model: str,
        terms: CompressionTerms | None = None,
    ) -> Preview:
        """Preview what a worker would make of the conversation, late or busy included."""
        # A conversation may be long, its preview twice that: serialized and parsed in threads.
        request = await asyncio.to_thread(
            build_job, messages, settings, model, "preview", terms=terms
        )
        reply = await self._request_reply(messages, request)
        return await asyncio.to_thread(parse_preview, reply, messages, settings, model)

    @staticmethod
    async def _wait_for_reply(
        milliseconds: int | None, reply: Awaitable[bytes | str]
    ) -> bytes | str:
        """Wait for the reply; return "deadline" if it is later than the plan allows."""
        try:
            async with asyncio.timeout(milliseconds / 1000 if milliseconds else None):
                return await reply
        except TimeoutError:
            # The worker goes on, and will have read the conversation at the next turn.
            return "deadline"

    async def _request_reply(self, messages: list[Message], request: bytes) -> bytes | str:
        """Return a worker's reply to a job about these messages, or why there is none."""
        self._start_workers()
        if len(self._broken_workers) == len(self._workers):
            return "pool-broken"
        if len(self._job_tasks) >= self._max_jobs:
            return "busy"
        task = asyncio.create_task(self._run_job(messages, request))
        self._job_tasks.add(task)
        task.add_done_callback(self._job_tasks.discard)
        # A cancelled caller does not break the worker: the job ends by itself and its reply is
        # dropped.
        return await asyncio.shield(task)

    async def _run_job(self, messages: list[Message], request: bytes) -> bytes | str:
        try:
            async with asyncio.timeout(self._job_timeout_seconds):
                return await self._ask_worker(
                    await self._selector.acquire_worker(hash_opening(messages)), request
                )
        except TimeoutError:
            return "deadline"
        except WORKER_ERRORS as error:
            logger.warning("compression worker broke: %s", type(error).__name__)
            return "pool-broken"

    async def _ask_worker(self, worker: WorkerProcess, request: bytes) -> bytes:
        try:
            reply = await worker.send_job(request)
        except BaseException:
            self.restart_count += 1
            self._broken_workers.add(worker)
            self._launch_worker(worker)
            raise
        self._selector.release_worker(worker)
        return reply

    def _start_workers(self) -> None:
        if not self._is_started:
            self._is_started = True
            for worker in self._workers:
                self._launch_worker(worker)

    def _launch_worker(self, worker: WorkerProcess) -> None:
        if self._is_closed:
            return
        task = asyncio.create_task(self._prepare_worker(worker))
        self._start_tasks.add(task)
        task.add_done_callback(self._start_tasks.discard)

    async def _prepare_worker(self, worker: WorkerProcess) -> None:
        """Start a worker, again and again until it answers."""
        while True:
            try:
                async with asyncio.timeout(START_TIMEOUT_SECONDS):
                    await worker.send_job(WARM_UP_JOB)
            except WORKER_ERRORS as error:
                self._broken_workers.add(worker)
                logger.warning("compression worker does not start: %s", type(error).__name__)
                await asyncio.sleep(RETRY_DELAY_SECONDS)
            else:
                self._broken_workers.discard(worker)
                self._selector.release_worker(worker)
                return

    async def _trim_chat(
        self,
        messages: list[Message],
        settings: CompressionSettings,
        model: str,
        note: str,
        terms: CompressionTerms | None,
    ) -> CompressionResult:
        """Run `trim` in a thread."""
        # It takes linear time and releases the GIL every few milliseconds. A thread cannot be
        # stopped, so these are few and used for nothing else, and no caller waits longer than
        # TRIM_TIMEOUT_SECONDS.
        if self._running_trims >= MAX_RUNNING_TRIMS:
            raise ToolUnavailable("compressor", "busy")
        settings = replace(settings, engine=FALLBACK_ENGINE)
        self._running_trims += 1
        trimming = asyncio.get_running_loop().run_in_executor(
            self._trim_threads, lambda: compress(messages, settings, model=model, terms=terms)
        )
        trimming.add_done_callback(self._finish_trim)
        try:
            async with asyncio.timeout(TRIM_TIMEOUT_SECONDS):
                cut = await asyncio.shield(trimming)
        except Exception as error:
            raise ToolUnavailable("compressor", type(error).__name__) from None
        return replace(cut, note=cut.note or note)

    def _finish_trim(self, trimming: "asyncio.Future[CompressionResult]") -> None:
        self._running_trims -= 1
        if not trimming.cancelled():
            trimming.exception()  # retrieved, also if no caller waits for it any more

    async def close(self) -> None:
        """Cancel the jobs and stop the workers."""
        self._is_closed = True
        tasks = [*self._job_tasks, *self._start_tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._trim_threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            if process := worker.kill():
                await process.wait()


# Which worker a conversation goes to: the one that had it before and remembers its messages, if it
# is idle, else any.

# A conversation is recognized by its beginning: the system message and the first question and
# answer, which later turns repeat.
MAX_OPENING_MESSAGES, MAX_OPENING_CHARACTERS = 3, 200


class WorkerSelector:
    """The idle workers. Callers get one in the order in which they came."""

    def __init__(self, workers: Sequence[WorkerProcess]) -> None:
        self._workers = workers
        self._idle_workers: list[WorkerProcess] = []
        self._idle_semaphore = asyncio.Semaphore(0)

    def release_worker(self, worker: WorkerProcess) -> None:
        """Make the worker available."""
        self._idle_workers.append(worker)
        self._idle_semaphore.release()

    async def acquire_worker(self, chat: int) -> WorkerProcess:
        """Take the conversation's usual worker if it is idle, else the one that became idle last.

        Waits if there is none.
        """
        await self._idle_semaphore.acquire()
        favourite = self._workers[chat % len(self._workers)]
        self._idle_workers.remove(
            worker := favourite if favourite in self._idle_workers else self._idle_workers[-1]
        )
        return worker


def hash_opening(messages: Sequence[Message]) -> int:
    """Hash the beginning of a conversation, the same for all its turns in this process."""
    return hash(
        tuple(
            _truncate_content(message.get("content"))
            for message in messages[:MAX_OPENING_MESSAGES]
            if isinstance(message, dict)
        )
    )


def _truncate_content(content: object) -> str:
    """Return the beginning of a message's content."""
    return (
        content
        if isinstance(content, str)
        # Of a list its first part only: the whole of it may be megabytes.
        else str(content[:1] if isinstance(content, list) else content)
    )[:MAX_OPENING_CHARACTERS]
