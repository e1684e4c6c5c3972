"""Run work beside the event loop, or on it in bounded turns, so that others are served."""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, ParamSpec, TypeVar

from proxy.core.errors import ToolUnavailable

# Large values are processed in two threads of their own, which block no name look-up and no other
# tool.
#
# Python code in the thread yields to the loop every few milliseconds. Calls into C libraries do
# not, so they are bounded by the limits on bodies.

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
MAX_INLINE_BYTES = 128 * 1024  # of JSON; for less a thread costs more than it saves
THREAD_POOL = ThreadPoolExecutor(2, thread_name_prefix="large-bodies")


async def run_off_loop(
    size: int, work: Callable[Arguments, Result], *args: Arguments.args, **named: Arguments.kwargs
) -> Result:
    """Run the work, in this thread if it handles few bytes (`size`), and return its result."""
    if size <= MAX_INLINE_BYTES:
        return work(*args, **named)
    return await run_in_thread(work, *args, **named)


async def run_in_thread(
    work: Callable[Arguments, Result], *args: Arguments.args, **named: Arguments.kwargs
) -> Result:
    """Run the work in a thread, with the caller's context variables, and return its result."""
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(
        THREAD_POOL, lambda: context.run(work, *args, **named)
    )


# A reader whose bytes have all arrived never waits, so nobody else would be served.

TURN_BYTES: Final = 64 * 1024


class LoopYielder:
    """Yields to the event loop each time the work of a task reaches `limit` bytes."""

    def __init__(self, limit: int = TURN_BYTES) -> None:
        self._limit_bytes = limit
        self._bytes_since_yield = 0

    async def count_work(self, size: int) -> None:
        """Count work of this size; yield once the limit is reached."""
        self._bytes_since_yield += size
        if self._bytes_since_yield >= self._limit_bytes:
            self._bytes_since_yield = 0
            await asyncio.sleep(0)


# When hundreds of requests arrive at once, a reply may lie in its socket for longer than a deadline
# before the loop reads it. By wall-clock time the tool was late; by loop time it was not. On an
# idle loop the two agree.

MAX_STEP_SECONDS = 0.002  # the most that one turn of the loop counts


async def wait_loop_time(
    work: Callable[[], Coroutine[Any, Any, Result]], *, seconds: float, tool: str
) -> Result:
    """Await the work for `seconds` of loop time, which stops while the loop is busy.

    Raises ToolUnavailable when the time is up.
    """
    task, loop, spent = asyncio.ensure_future(work()), asyncio.get_running_loop(), 0.0
    try:
        while not task.done() and spent < seconds:
            began = loop.time()
            await asyncio.wait({task}, timeout=MAX_STEP_SECONDS)
            spent += min(loop.time() - began, MAX_STEP_SECONDS)
        if task.done():
            return task.result()
        raise ToolUnavailable(tool, f"no answer within {seconds * 1000:.0f} ms of its own")
    finally:
        task.cancel()
