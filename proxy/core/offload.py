"""Work on large values beside the event loop, in two threads of its own: what waits holds up no name look-up and no other tool.

Python code in the thread gives way to the loop every few milliseconds. What the C libraries do at one go does not, so that is bounded
by the limits on bodies; beside the loop it is at least a turn of its own.
"""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

LARGE = 128 * 1024  # bytes of JSON; below, the hop to a thread is not worth it
THREADS = ThreadPoolExecutor(2, thread_name_prefix="large-bodies")


async def off_loop(size: int, work: Callable[Arguments, Result], *args: Arguments.args, **named: Arguments.kwargs) -> Result:
    """The result of the work, done here and now where `size` bytes are little."""
    if size <= LARGE:
        return work(*args, **named)
    return await in_thread(work, *args, **named)


async def in_thread(work: Callable[Arguments, Result], *args: Arguments.args, **named: Arguments.kwargs) -> Result:
    """The result of the work, whatever its size. It sees the caller's context variables."""
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(THREADS, lambda: context.run(work, *args, **named))
