"""Work that a worker does again and again until it stops."""

import asyncio
import logging
import random
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import psycopg
from django.db import Error, connections
from redis.exceptions import RedisError

from proxy.core.errors import ToolUnavailable
from stats import database

log = logging.getLogger("tokenthrift.proxy")
OUTAGE_ERRORS: Final = (OSError, TimeoutError, Error, psycopg.Error, RedisError, ToolUnavailable)
MAX_REASON_LENGTH: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodicTask:
    """A turn of work, a pause, and the same again.

    An error is logged once, and the next turn tries again.

    `every` is the pause in seconds, `first` that before the first turn; up to `jitter` of either is
    added at random, so that workers started together do not all ask at once. While turns fail, the
    pause doubles up to `longest`. `wake`, once set, ends a pause. `failing` is what the log says.

    The turn is either a coroutine, `work`, or a function, `thread`, that runs in a thread of its
    own on database connections of its own, and is told by an event when the worker stops. With a
    number for `leader`, a turn is left out while another worker of any machine is at one of that
    number.
    """

    name: str
    interval_seconds: float
    failure_message: str
    work: Callable[[], Awaitable[object]] | None = None
    thread: Callable[[threading.Event], object] | None = None
    first_delay_seconds: float = 0.0
    jitter: float = 0.0
    max_interval_seconds: float | None = None
    wake_event: asyncio.Event | None = None
    leader_lock: int | None = None

    def __post_init__(self) -> None:
        if (self.work is None) == (self.thread is None):
            raise ValueError(f"{self.name}: give either work or thread")
        if self.leader_lock is not None and self.thread is None:
            raise ValueError(f"{self.name}: who leads waits for the database, so it needs a thread")

    async def run(self) -> None:
        """Take turns until cancelled."""
        if self.work is not None:
            await self._repeat_turns(self.work)
            return
        # One thread for each: a database that hangs holds up this work and nothing else.
        executor = ThreadPoolExecutor(1, thread_name_prefix=self.name)
        stopping = threading.Event()

        async def call_thread() -> None:
            await asyncio.get_running_loop().run_in_executor(
                executor, self.run_turn_in_thread, stopping
            )

        try:
            await self._repeat_turns(call_thread)
        finally:
            stopping.set()
            executor.shutdown(wait=False)

    def run_turn_in_thread(self, stopping: threading.Event) -> None:
        """Take one turn in this thread, unless another worker leads.

        Raises what the turn raises.
        """
        assert self.thread is not None  # noqa: S101 -- only tasks with one come here
        try:
            if self.leader_lock is None:
                self.thread(stopping)
                return
            with database.try_advisory_lock(self.leader_lock) as leads:
                if leads:
                    self.thread(stopping)
        finally:
            connections.close_all()

    async def _repeat_turns(self, turn: Callable[[], Awaitable[object]]) -> None:
        failures = 0
        await self._wait_for_next_turn(self.first_delay_seconds)
        while True:
            if self.wake_event is not None:
                # Before the turn: what changes while it lasts calls for another.
                self.wake_event.clear()
            try:
                await turn()
            except Exception as error:
                failures += 1
                if failures == 1:
                    # A service that is away needs no traceback; anything else is a mistake of ours.
                    unforeseen = None if isinstance(error, OUTAGE_ERRORS) else error
                    log.warning(
                        "%s: %s", self.failure_message, _describe_error(error), exc_info=unforeseen
                    )
            else:
                if failures:
                    log.warning("%s: works again after %d failures", self.name, failures)
                failures = 0
            await self._wait_for_next_turn(self._compute_pause_seconds(failures))

    def _compute_pause_seconds(self, failures: int) -> float:
        if self.max_interval_seconds is None:
            return self.interval_seconds
        return (
            min(self.max_interval_seconds, self.interval_seconds * 2.0 ** min(failures, 16))
            if failures
            else self.interval_seconds
        )

    async def _wait_for_next_turn(self, seconds: float) -> None:
        seconds *= 1 + self.jitter * random.random()  # noqa: S311 -- spreads load, guards nothing
        if self.wake_event is None:
            await asyncio.sleep(seconds)
            return
        with suppress(TimeoutError):
            # wait_for of Python 3.11 forgets that it was cancelled when both come at once
            async with asyncio.timeout(seconds):
                await self.wake_event.wait()


def _describe_error(error: Exception) -> str:
    """The error's class and first line: further lines of a database's error quote the row."""
    first = (str(error).splitlines() or [""])[0][:MAX_REASON_LENGTH]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
