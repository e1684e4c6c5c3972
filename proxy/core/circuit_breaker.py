"""Circuit breakers (Nygard, Release It!): stop calling a failing tool, and probe it each second."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from proxy.core.errors import ToolUnavailable

Result = TypeVar("Result")
# Two failures in a row open the breaker for a second; then one request probes. So a dead cache
# costs two requests their cache budget and the others nothing, and a recovered tool is found within
# a second.
FAILURES_TO_OPEN = 2
RETRY_DELAY_SECONDS = 1.0
# A call with less time than this says nothing about the tool: other work had used the budget.
MIN_FAIR_TIMEOUT_SECONDS = 0.03


class CircuitBreaker:
    """The breaker of one tool.

    Closed: calls pass. Open: calls fail at once. After `RETRY_DELAY_SECONDS` one call probes.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.clock = clock
        self.failures = 0
        self.retry_at = 0.0
        self.answered_at = float("-inf")
        self.reason = ""
        self.late_calls = 0  # calls without time left, or without an answer in time

    @property
    def is_tripped(self) -> bool:
        """Whether the tool failed often enough to open the breaker, and has not answered since."""
        return self.failures >= FAILURES_TO_OPEN

    @property
    def is_open(self) -> bool:
        """Whether calls fail at once now."""
        return self.failures >= FAILURES_TO_OPEN and self.clock() < self.retry_at

    def record_success(self) -> None:
        self.answered_at = self.clock()
        self.failures = 0
        self.reason = ""

    def record_failure(self, reason: str) -> None:
        self.failures += 1
        self.reason = reason
        self.retry_at = self.clock() + RETRY_DELAY_SECONDS

    async def run(self, call: Coroutine[Any, Any, Result], *, seconds: float) -> Result:
        """Await the call for at most `seconds`.

        Raises ToolUnavailable when it fails, is late, or the breaker is open.
        """
        if self.is_open:
            call.close()
            raise ToolUnavailable(self.name, f"left alone after: {self.reason}", skipped=True)
        if seconds <= 0:
            call.close()
            self.late_calls += 1
            raise ToolUnavailable(self.name, "no time left in the cache budget", skipped=True)
        if self.failures >= FAILURES_TO_OPEN:
            # This call is the probe; the others wait for its outcome.
            self.retry_at = self.clock() + RETRY_DELAY_SECONDS
        asked_at = self.clock()
        try:
            async with asyncio.timeout(seconds):
                result = await call
        except ToolUnavailable as error:
            if not error.skipped:  # a tool too busy to take the call is healthy
                self.record_failure(error.reason)
            self.late_calls += error.skipped
            raise
        except TimeoutError:
            self.late_calls += 1
            if (
                seconds >= MIN_FAIR_TIMEOUT_SECONDS and self.answered_at < asked_at
            ):  # a tool that meanwhile answers others is only busy
                self.record_failure("no answer in time")
            raise ToolUnavailable(self.name, f"no answer within {seconds * 1000:.0f} ms") from None
        self.record_success()
        return result
