"""A call that its caller may leave at any moment without harm to the connection it uses."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def run_detached(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, run as a task of its own. `work` must bring its own deadline.

    When the caller is cancelled (the cache budget is spent, the client left) it leaves at once, and
    the task ends at its own deadline and hands its connection back. Cancelled in the middle of
    handing it back, both pools used here lose the connection for good.
    """
    task = asyncio.create_task(work)
    task.add_done_callback(_consume_error)
    return await asyncio.shield(task)


def _consume_error(task: asyncio.Task[Any]) -> None:
    """A failure after the caller left concerns nobody:
    without this, asyncio would log it as never retrieved."""
    if not task.cancelled():
        task.exception()
