"""Work that no reply waits for: a few tasks at a time, and none that outlives the server."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger("tokenthrift.proxy")


class Background:
    """At most `limit` tasks at once; what comes beyond that is not done at all."""

    def __init__(self, limit: int = 4) -> None:
        self._limit = limit
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def start(self, work: Coroutine[Any, Any, None]) -> bool:
        """Run it, unless there is no room or the server stops; whether it runs."""
        if self._closed or len(self._tasks) >= self._limit:
            work.close()
            return False
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return True

    async def drain(self) -> None:
        """Return once everything that runs now has ended."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Cancel what runs, and wait until it has ended."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await self.drain()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("background work failed", exc_info=error)
