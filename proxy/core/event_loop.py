"""Work beside the event loop and on it in bounded turns, so that others are served meanwhile."""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, ParamSpec, TypeVar

from proxy.core.errors import ToolUnavailable

# Work on large values beside the event loop, in two threads of its own: what waits holds up no name
# look-up and no other tool.
#
# Python code in the thread gives way to the loop every few milliseconds. What the C libraries do at
# one go does not, so that is bounded by the limits on bodies; beside the loop it is at least a turn
# of its own.

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
MAX_INLINE_BYTES = 128 * 1024  # bytes of JSON; below, the hop to a thread is not worth it
THREAD_POOL = ThreadPoolExecutor(2, thread_name_prefix="large-bodies")


async def run_off_loop(
    size: int, work: Callable[Arguments, Result], *args: Arguments.args, **named: Arguments.kwargs
) -> Result:
    """The result of the work, done here and now where `size` bytes are little."""
    if size <= MAX_INLINE_BYTES:
        return work(*args, **named)
    return await run_in_thread(work, *args, **named)


async def run_in_thread(
    work: Callable[Arguments, Result], *args: Arguments.args, **named: Arguments.kwargs
) -> Result:
    """The result of the work, whatever its size. It sees the caller's context variables."""
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(
        THREAD_POOL, lambda: context.run(work, *args, **named)
    )


# Work on the event loop in bounded turns: a reader whose bytes are all here already never waits,
# and nobody else would be served.

TURN_BYTES: Final = 64 * 1024


class LoopYielder:
    """Counts the work of one task and lets others have their turn whenever it was as much
    as `limit` bytes take."""

    def __init__(self, limit: int = TURN_BYTES) -> None:
        self._limit_bytes = limit
        self._bytes_since_yield = 0

    async def count_work(self, size: int) -> None:
        """Note that work of this size was done. What is small costs no turn of its own."""
        self._bytes_since_yield += size
        if self._bytes_since_yield >= self._limit_bytes:
            self._bytes_since_yield = 0
            await asyncio.sleep(0)


# Wait for a tool by a clock that stands still while our own loop is busy with others.
#
# When hundreds of requests arrive at once, a reply may lie in its socket for longer than a deadline
# before anybody looks. By the clock on the wall the tool was late; by this one it was not. On an
# idle loop the two agree.

MAX_STEP_SECONDS = 0.002  # seconds that one turn of the loop counts at most


async def wait_loop_time(
    work: Callable[[], Coroutine[Any, Any, Result]], *, seconds: float, tool: str
) -> Result:
    """The result of the work.

    Raises ToolUnavailable when it had its time, in seconds, and is not done.
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
