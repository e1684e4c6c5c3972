"""Run a call that its caller may leave at any moment without harm to its connection."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def run_detached(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of `work`, run in a task of its own with a deadline of its own.

    A cancelled caller (cache budget spent, client disconnected) leaves at once, and the task goes
    on to its own deadline.
    """
    task = asyncio.create_task(work)
    task.add_done_callback(_consume_error)
    # Cancelled while they release a connection, both pools used here would lose it for good.
    return await asyncio.shield(task)


def _consume_error(task: asyncio.Task[Any]) -> None:
    """Retrieve the task's error."""
    # Without this, asyncio would log a failure after the caller left as never retrieved.
    if not task.cancelled():
        task.exception()
