"""Background tasks, clients that leave, and how many requests of a key are in flight."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from proxy.core.errors import ClientDisconnected, TooManyRequests
from proxy.core.ports import Client

# Work that no reply waits for: a few tasks at a time, and none that outlives the server.

log = logging.getLogger("tokenthrift.proxy")


class BackgroundTasks:
    """At most `limit` tasks at once; what comes beyond that is not done at all."""

    def __init__(self, limit: int = 4) -> None:
        self._limit = limit
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def start_task(self, work: Coroutine[Any, Any, None]) -> bool:
        """Run it, unless there is no room or the server stops; whether it runs."""
        if self._is_closed or len(self._tasks) >= self._limit:
            work.close()
            return False
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._discard_task)
        return True

    async def drain(self) -> None:
        """Return once everything that runs now has ended."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Cancel what runs, and wait until it has ended."""
        self._is_closed = True
        for task in self._tasks:
            task.cancel()
        await self.drain()

    def _discard_task(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("background work failed", exc_info=error)


# How many requests of one key are being answered: none of them may take all that a worker has.

RETRY_AFTER_SECONDS = 1


class ConcurrencyLimiter:
    """The requests of one worker, by key."""

    def __init__(self) -> None:
        self._key_by_request: dict[str, int] = {}
        self._count_by_key: dict[int, int] = {}

    def acquire_slot(self, request_id: str, key_id: int, *, most: int) -> None:
        """Count the request, until `release_slot`.

        Raises TooManyRequests where the key has `most` already; 0 is no limit.
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
        """The request is answered, or was never counted."""
        key_id = self._key_by_request.pop(request_id, None)
        if key_id is None:
            return
        if self._count_by_key[key_id] > 1:
            self._count_by_key[key_id] -= 1
        else:
            del self._count_by_key[key_id]


# Stop waiting for a provider when the client has left: nobody would read the answer, and it would
# still be billed.


@asynccontextmanager
async def cancel_on_disconnect(client: Client) -> AsyncIterator[None]:
    """Run the body; when the client leaves meanwhile, cancel it and raise ClientGone.

    A cancellation from elsewhere passes through.
    """
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
