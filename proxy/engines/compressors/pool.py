"""Compression in worker processes, so that no chat, however long or hostile, holds up the event loop.

A worker is a child process fed through pipes (see `worker`): it can be killed at its deadline, which a thread cannot and a
ProcessPoolExecutor does not offer, it never forks a threaded parent, and it ends when its stdin closes, that is, when the parent dies.
"""

import asyncio
import json
import logging
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from plans.snapshot import CompressionSettings
from proxy.core.compression.compress import FALLBACK, compress, fits
from proxy.core.errors import ToolUnavailable
from proxy.core.ports import Cut, Message
from proxy.engines.compressors.worker import LENGTH, job

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[3]
# A worker needs none of our secrets, and one thread of numpy: the products are small.
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
SINGLE_THREADED = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
# Loads what a job needs. It takes half a second, many times that on a machine in trouble.
WARM_UP = job(
    [{"role": "user", "content": "One order. Two orders came."}, {"role": "user", "content": "Which?"}],
    CompressionSettings(engine="text_rank", max_input_tokens=16),
    "",
)
START_DEADLINE = 60.0
# TimeoutError is an OSError too.
BROKEN = (OSError, asyncio.IncompleteReadError)
RETRY_AFTER = 1.0


class _Worker:
    """One child process, started when first asked. Not for two callers at once."""

    def __init__(self) -> None:
        self.process: asyncio.subprocess.Process | None = None

    async def ask(self, request: bytes) -> dict[str, Any]:
        """The reply to a job. Raises ConnectionError or asyncio.IncompleteReadError when the process dies; whatever happens but a
        reply, the process is ended, as its next reply would be to this job."""
        try:
            self.process = self.process or await _start()
            stdin, stdout = self.process.stdin, self.process.stdout
            if stdin is None or stdout is None:
                raise ConnectionError("a worker without pipes")
            stdin.write(request)
            await stdin.drain()
            (length,) = LENGTH.unpack(await stdout.readexactly(LENGTH.size))
            reply: dict[str, Any] = json.loads(await stdout.readexactly(length))
        except BaseException:
            self.kill()
            raise
        return reply

    def kill(self) -> asyncio.subprocess.Process | None:
        """End the process now; it is reaped by the event loop. Returns what was running."""
        process, self.process = self.process, None
        if process is not None and process.returncode is None:
            try:
                process.kill()
            except ProcessLookupError:
                logger.debug("compression worker was gone already")
        return process


async def _start() -> asyncio.subprocess.Process:
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ} | SINGLE_THREADED
    arguments = (sys.executable, "-m", "proxy.engines.compressors.worker")
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*arguments, stdin=pipe, stdout=pipe, cwd=ROOT, env=environment)


class PoolCompressor:
    """The Compressor port over `workers` processes. `deadline`: seconds for a job, its wait included; `queue`: jobs that may wait.

    Never slower than the deadline and the time `trim` takes: a job that is late (`deadline`), that broke its worker or finds all broken
    (`pool-broken`) or that finds the queue full (`busy`) is trimmed in a thread instead, and its Cut says so. A broken worker is started
    again beside the traffic. Raises ToolUnavailable when even `trim` fails.
    """

    def __init__(self, *, workers: int = 1, deadline: float = 5.0, queue: int = 16) -> None:
        self._workers = [_Worker() for _ in range(workers)]
        self._idle: asyncio.LifoQueue[_Worker] = asyncio.LifoQueue()
        self._broken: set[_Worker] = set()
        self._starts: set[asyncio.Task[None]] = set()
        self._jobs: set[asyncio.Task[Cut | str]] = set()
        self._started = self._closed = False
        self._deadline = deadline
        self._limit = workers + queue

    async def warm(self, *, patience: float = 20.0) -> None:
        """Start the workers and load what a first job needs, so that no request pays for it. Returns when they answer, or after
        `patience` seconds; they go on starting then."""
        self._start_all()
        if self._starts:
            await asyncio.wait(self._starts, timeout=patience)

    async def compress(self, messages: list[Message], settings: CompressionSettings, *, model: str) -> Cut:
        """See `proxy.core.compression.compress`. A short chat within its budget is answered here and now."""
        if cut := fits(messages, settings, model=model):
            return cut
        self._start_all()
        if len(self._broken) == len(self._workers):
            return await _trim(messages, settings, model, "pool-broken")
        if len(self._jobs) >= self._limit:
            return await _trim(messages, settings, model, "busy")
        task = asyncio.create_task(self._job(messages, job(messages, settings, model)))
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
        # A caller who leaves does not break the worker: the job ends by itself and its reply is dropped.
        done = await asyncio.shield(task)
        return await _trim(messages, settings, model, done) if isinstance(done, str) else done

    async def _job(self, messages: list[Message], request: bytes) -> Cut | str:
        """The Cut, or why there is none."""
        try:
            async with asyncio.timeout(self._deadline):
                reply = await self._ask(await self._idle.get(), request)
        except TimeoutError:
            return "deadline"
        except BROKEN as error:
            logger.warning("compression worker broke: %s", type(error).__name__)
            return "pool-broken"
        return "engine-failed" if "error" in reply else _cut(reply, messages)

    async def _ask(self, worker: _Worker, request: bytes) -> dict[str, Any]:
        try:
            reply = await worker.ask(request)
        except BaseException:
            self._broken.add(worker)
            self._launch(worker)
            raise
        self._idle.put_nowait(worker)
        return reply

    def _start_all(self) -> None:
        if not self._started:
            self._started = True
            for worker in self._workers:
                self._launch(worker)

    def _launch(self, worker: _Worker) -> None:
        if self._closed:
            return
        task = asyncio.create_task(self._prepare(worker))
        self._starts.add(task)
        task.add_done_callback(self._starts.discard)

    async def _prepare(self, worker: _Worker) -> None:
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
                self._idle.put_nowait(worker)
                return

    async def close(self) -> None:
        """End the jobs and the workers."""
        self._closed = True
        tasks = [*self._jobs, *self._starts]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for worker in self._workers:
            if process := worker.kill():
                await process.wait()


def _cut(reply: dict[str, Any], messages: list[Message]) -> Cut:
    kept = reply["messages"]
    if kept is not None:
        kept = [messages[item] if isinstance(item, int) else item for item in kept]
    return Cut(**{**reply, "messages": kept})


async def _trim(messages: list[Message], settings: CompressionSettings, model: str, note: str) -> Cut:
    """`trim` in a thread: it takes linear time and lets go of the GIL every few milliseconds."""
    try:
        cut = await asyncio.to_thread(compress, messages, replace(settings, engine=FALLBACK), model=model)
    except Exception as error:
        raise ToolUnavailable("compressor", type(error).__name__) from None
    return replace(cut, note=cut.note or note)
