"""A call that its caller may leave at any moment without harm to the connection it uses."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def detached(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, run as a task of its own. `work` must bring its own deadline.

    When the caller is cancelled (the cache budget is spent, the client left) it leaves at once, and the task ends at its own deadline
    and hands its connection back. Cancelled in the middle of handing it back, both pools used here lose the connection for good.
    """
    return await asyncio.shield(asyncio.create_task(work))
