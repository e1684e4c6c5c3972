"""Wait for a tool by a clock that stands still while our own loop is busy with others.

When hundreds of requests arrive at once, a reply may lie in its socket for longer than a deadline before anybody looks. By the clock on the
wall the tool was late; by this one it was not. On an idle loop the two agree.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from proxy.core.errors import ToolUnavailable

Result = TypeVar("Result")
STEP = 0.002  # seconds that one turn of the loop counts at most


async def fairly(work: Callable[[], Coroutine[Any, Any, Result]], *, seconds: float, tool: str) -> Result:
    """The result of the work. Raises ToolUnavailable when it had its time, in seconds, and is not done."""
    task, loop, spent = asyncio.ensure_future(work()), asyncio.get_running_loop(), 0.0
    try:
        while not task.done() and spent < seconds:
            began = loop.time()
            await asyncio.wait({task}, timeout=STEP)
            spent += min(loop.time() - began, STEP)
        if task.done():
            return task.result()
        raise ToolUnavailable(tool, f"no answer within {seconds * 1000:.0f} ms of its own")
    finally:
        task.cancel()
