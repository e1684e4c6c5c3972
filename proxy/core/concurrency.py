"""Background tasks, client disconnects, and limits of requests in flight per key."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from proxy.core.errors import ClientDisconnected, TooManyRequests
from proxy.core.ports import Client

log = logging.getLogger("tokenthrift.proxy")


class BackgroundTasks:
    """Runs at most `limit` tasks at once; further ones are dropped."""

    def __init__(self, limit: int = 4) -> None:
        self._limit = limit
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def start_task(self, work: Coroutine[Any, Any, None]) -> bool:
        """Start a task unless the limit is reached or the server stops; return whether it runs."""
        if self._is_closed or len(self._tasks) >= self._limit:
            work.close()
            return False
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._discard_task)
        return True

    async def drain(self) -> None:
        """Wait until all running tasks have ended."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Cancel all tasks and wait until they have ended."""
        self._is_closed = True
        for task in self._tasks:
            task.cancel()
        await self.drain()

    def _discard_task(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("background work failed", exc_info=error)


RETRY_AFTER_SECONDS = 1


class ConcurrencyLimiter:
    """The requests in flight of one worker, by key: no key may take all of its capacity."""

    def __init__(self) -> None:
        self._key_by_request: dict[str, int] = {}
        self._count_by_key: dict[int, int] = {}

    def acquire_slot(self, request_id: str, key_id: int, *, most: int) -> None:
        """Count the request until `release_slot`.

        Raises TooManyRequests if the key has `most` already; 0 is no limit.
        """
        count = self._count_by_key.get(key_id, 0)
        if most and count >= most:
            raise TooManyRequests(
                f"{most} requests of this key are being answered already. Try again in a moment.",
                retry_after=RETRY_AFTER_SECONDS,
            )
        self._key_by_request[request_id] = key_id
        self._count_by_key[key_id] = count + 1

    def release_slot(self, request_id: str) -> None:
        """Release the request's slot, if it has one."""
        key_id = self._key_by_request.pop(request_id, None)
        if key_id is None:
            return
        if self._count_by_key[key_id] > 1:
            self._count_by_key[key_id] -= 1
        else:
            del self._count_by_key[key_id]


@asynccontextmanager
async def cancel_on_disconnect(client: Client) -> AsyncIterator[None]:
    """Cancel the body and raise ClientDisconnected if the client disconnects meanwhile.

    A cancellation from elsewhere is passed on.
    """
    # Without its client nobody would read the provider's answer, and it would still be billed.
    waiting = asyncio.current_task()
    left = False

    async def watch() -> None:
        nonlocal left
        await client.wait_disconnected()
        left = True
        if waiting is not None:
            waiting.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if left and waiting is not None and waiting.uncancel() == 0:
            raise ClientDisconnected from None
        raise
    finally:
        watcher.cancel()
