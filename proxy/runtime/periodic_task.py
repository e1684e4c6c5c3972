"""Tasks that a worker repeats until it stops."""

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
    """A task repeated with a pause; an error is logged once, and the next turn tries again.

    Either `work`, a coroutine, or `thread`, a function run in a thread of its own with its own
    database connections, which is passed an event set when the worker stops.
    """

    name: str
    # The pause between turns.
    interval_seconds: float
    # Logged when turns begin to fail.
    failure_message: str
    work: Callable[[], Awaitable[object]] | None = None
    thread: Callable[[threading.Event], object] | None = None
    first_delay_seconds: float = 0.0
    # Up to this share is added to each pause at random, so that workers started together do not all
    # ask at once.
    jitter: float = 0.0
    # While turns fail, the pause doubles up to this.
    max_interval_seconds: float | None = None
    # Ends a pause when set.
    wake_event: asyncio.Event | None = None
    # A turn is skipped while another worker, on any machine, runs one under this lock number.
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
        # A thread for each task: a hanging database blocks no other.
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
        """Take one turn in this thread, unless another worker is the leader.

        Raises what the turn raises.
        """
        assert self.thread is not None  # noqa: S101 -- only tasks with a thread get here
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
                # Cleared before the turn: a change during it needs another.
                self.wake_event.clear()
            try:
                await turn()
            except Exception as error:
                failures += 1
                if failures == 1:
                    # An unavailable service needs no traceback; anything else is a bug.
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
    """Return the error's class and first line; further lines of a database error quote the row."""
    first = (str(error).splitlines() or [""])[0][:MAX_REASON_LENGTH]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
