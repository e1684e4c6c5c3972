"""Processes that compress, and which of them takes the next chat."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from plans.snapshot import CompressionSettings
from proxy.core.compression.compress import (
    FALLBACK_ENGINE,
    check_within_budget,
    compress,
    count_text_bytes,
)
from proxy.core.compression.types import CompressionResult, CompressionTerms
from proxy.core.errors import ToolUnavailable
from proxy.core.event_loop import MAX_INLINE_BYTES, run_off_loop
from proxy.core.types import Message
from proxy.engines.compressors.process import BROKEN, WorkerProcess
from proxy.engines.compressors.worker import job

# Compression in worker processes, so that no chat, however long or hostile, holds up the event
# loop.
#
# A worker is a child process fed through pipes (see `process` and `worker`): it can be killed at
# its deadline, which a thread cannot and a ProcessPoolExecutor does not offer, it never forks a
# threaded parent, and it ends when its stdin closes, that is, when the parent dies.

logger = logging.getLogger(__name__)
# Loads what a job needs, long enough for a block. It takes half a second, many times that on a
# machine in trouble.
WARM_UP = job(
    [
        {"role": "user", "content": "One order. Two orders came. " * 200},
        {"role": "user", "content": "Which order?"},
    ],
    CompressionSettings(engine="text_rank", max_input_tokens=1024),
    "",
)
START_DEADLINE = 60.0
RETRY_AFTER = 1.0
TRIM_THREADS, TRIM_QUEUE = 2, 16
TRIM_DEADLINE = 5.0


class PoolCompressor:
    """The Compressor port over `workers` processes.

    `deadline`: seconds for a job, its wait included; `queue`: jobs that may wait; `words`: a table
    of word vectors (`Meanings`), for chats ranked by what is asked.

    Never slower than the deadline and `TRIM_DEADLINE`: a job that is late (`deadline`), that broke
    its worker or finds all broken (`pool-broken`) or that finds the queue full (`busy`) is trimmed
    in a thread instead, and its Cut says so. A broken worker is started again beside the traffic.
    Raises ToolUnavailable when even `trim` fails.
    """

    def __init__(
        self, *, workers: int = 1, deadline: float = 5.0, queue: int = 16, words: Path | None = None
    ) -> None:
        self._workers = [WorkerProcess(words) for _ in range(workers)]
        self._idle = Idle(self._workers)
        self._broken: set[WorkerProcess] = set()
        self._starts: set[asyncio.Task[None]] = set()
        self._jobs: set[asyncio.Task[bytes | str]] = set()
        self._started = self._closed = False
        self._deadline = deadline
        self._threads = ThreadPoolExecutor(TRIM_THREADS, thread_name_prefix="trim")
        self._trims = 0
        self._limit = workers + queue
        self.restarts = 0

    async def warm(self, *, patience: float = 20.0) -> None:
        """Start the workers and load what a first job needs, so that no request pays for it.

        Returns when they answer, or after `patience` seconds; they go on starting then.
        """
        self._start_all()
        if self._starts:
            await asyncio.wait(self._starts, timeout=patience)

    async def compress(
        self,
        messages: list[Message],
        settings: CompressionSettings,
        *,
        model: str,
        terms: CompressionTerms | None = None,
        tenant: int | None = None,
    ) -> CompressionResult:
        """See `proxy.core.compression.compress`.

        A short chat within its budget is answered here and now.
        """
        if cut := check_within_budget(messages, settings, model=model):
            return cut
        large = count_text_bytes(messages, enough=MAX_INLINE_BYTES)
        request = await run_off_loop(
            large, job, messages, settings, model, terms=terms, tenant=tenant
        )
        reply = await self._in_time(settings.deadline_ms, self.reply(messages, request))
        done = (
            await run_off_loop(large, _read, reply, messages) if isinstance(reply, bytes) else reply
        )
        return (
            await self._trim(messages, settings, model, done, terms)
            if isinstance(done, str)
            else done
        )

    @staticmethod
    async def _in_time(milliseconds: int | None, reply: Awaitable[bytes | str]) -> bytes | str:
        """The reply, or "deadline" when it is later than the plan allows.

        Its worker goes on, and will have read the chat at the next turn.
        """
        try:
            async with asyncio.timeout(milliseconds / 1000 if milliseconds else None):
                return await reply
        except TimeoutError:
            return "deadline"

    async def reply(self, messages: list[Message], request: bytes) -> bytes | str:
        """What a worker says to a job about these messages, or why it says nothing."""
        self._start_all()
        if len(self._broken) == len(self._workers):
            return "pool-broken"
        if len(self._jobs) >= self._limit:
            return "busy"
        task = asyncio.create_task(self._job(messages, request))
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
        # A caller who leaves does not break the worker: the job ends by itself and its reply is
        # dropped.
        return await asyncio.shield(task)

    async def _job(self, messages: list[Message], request: bytes) -> bytes | str:
        try:
            async with asyncio.timeout(self._deadline):
                return await self._ask(await self._idle.take(opening(messages)), request)
        except TimeoutError:
            return "deadline"
        except BROKEN as error:
            logger.warning("compression worker broke: %s", type(error).__name__)
            return "pool-broken"

    async def _ask(self, worker: WorkerProcess, request: bytes) -> bytes:
        try:
            reply = await worker.ask(request)
        except BaseException:
            self.restarts += 1
            self._broken.add(worker)
            self._launch(worker)
            raise
        self._idle.give(worker)
        return reply

    def _start_all(self) -> None:
        if not self._started:
            self._started = True
            for worker in self._workers:
                self._launch(worker)

    def _launch(self, worker: WorkerProcess) -> None:
        if self._closed:
            return
        task = asyncio.create_task(self._prepare(worker))
        self._starts.add(task)
        task.add_done_callback(self._starts.discard)

    async def _prepare(self, worker: WorkerProcess) -> None:
        """Start a worker, and again until it answers."""
        while True:
            try:
                async with asyncio.timeout(START_DEADLINE):
                    await worker.ask(WARM_UP)
            except BROKEN as error:
                self._broken.add(worker)
                logger.warning("compression worker does not start: %s", type(error).__name__)
                await asyncio.sleep(RETRY_AFTER)
            else:
                self._broken.discard(worker)
                self._idle.give(worker)
                return

    async def _trim(
        self,
        messages: list[Message],
        settings: CompressionSettings,
        model: str,
        note: str,
        terms: CompressionTerms | None,
    ) -> CompressionResult:
        """`trim` in a thread: it takes linear time and lets go of the GIL every few milliseconds.

        A thread cannot be stopped, so these are few, they are nobody else's, and nobody waits
        longer than `TRIM_DEADLINE`.
        """
        if self._trims >= TRIM_QUEUE:
            raise ToolUnavailable("compressor", "busy")
        settings = replace(settings, engine=FALLBACK_ENGINE)
        self._trims += 1
        trimming = asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: compress(messages, settings, model=model, terms=terms)
        )
        trimming.add_done_callback(self._trimmed)
        try:
            async with asyncio.timeout(TRIM_DEADLINE):
                cut = await asyncio.shield(trimming)
        except Exception as error:
            raise ToolUnavailable("compressor", type(error).__name__) from None
        return replace(cut, note=cut.note or note)

    def _trimmed(self, trimming: "asyncio.Future[CompressionResult]") -> None:
        self._trims -= 1
        if not trimming.cancelled():
            trimming.exception()  # seen, also where nobody waits for it any more

    async def close(self) -> None:
        """End the jobs and the workers."""
        self._closed = True
        tasks = [*self._jobs, *self._starts]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            if process := worker.kill():
                await process.wait()


def _read(reply: bytes, messages: list[Message]) -> CompressionResult | str:
    return cut_of(json.loads(reply), messages)


def cut_of(reply: dict[str, Any], messages: list[Message]) -> CompressionResult | str:
    """The Cut that a worker describes, or why there is none."""
    if "error" in reply:
        return "engine-failed"
    kept = reply["messages"]
    if kept is not None:
        kept = [messages[item] if isinstance(item, int) else item for item in kept]
    return CompressionResult(**{**reply, "messages": kept})


# Which worker a chat goes to: the one that had it before and remembers its messages, when that one
# is free, else any.

# A chat is known by how it begins: the system message and the first question and answer. Later
# turns bring the same again.
MESSAGES, CHARACTERS = 3, 200


class Idle:
    """Workers that have nothing to do. Who waits longest takes the next one."""

    def __init__(self, workers: Sequence[WorkerProcess]) -> None:
        self._workers = workers
        self._free: list[WorkerProcess] = []
        self._count = asyncio.Semaphore(0)

    def give(self, worker: WorkerProcess) -> None:
        """This one is free now."""
        self._free.append(worker)
        self._count.release()

    async def take(self, chat: int) -> WorkerProcess:
        """The worker that this chat always asks for, or the one that became free last;
        waits when there is none."""
        await self._count.acquire()
        favourite = self._workers[chat % len(self._workers)]
        self._free.remove(worker := favourite if favourite in self._free else self._free[-1])
        return worker


def opening(messages: Sequence[Message]) -> int:
    """A number for how a chat begins, the same for all its turns in this process.

    Looks at what it needs only, as a chat may be long.
    """
    return hash(
        tuple(
            _beginning(message.get("content"))
            for message in messages[:MESSAGES]
            if isinstance(message, dict)
        )
    )


def _beginning(content: object) -> str:
    """Of a list no more parts than characters: the whole of it may be megabytes."""
    return (
        content
        if isinstance(content, str)
        else str(content[:1] if isinstance(content, list) else content)
    )[:CHARACTERS]
