"""The exact tier in Redis.

Keys and values are those of the django-redis alias `exact`, so the admin sees what the hot path
wrote. Lookups of the same turn of the event loop go out as one MGET: the client library costs more
than Redis, and this costs it once.
"""

import asyncio

from proxy.core.errors import ToolUnavailable
from proxy.engines.redis_client import RedisFaults, open_redis

PendingLookup = tuple[str, "asyncio.Future[bytes | None]"]


class RedisExactCache:
    """Bytes by key under `<prefix>:1:`, as django-redis builds keys (KEY_PREFIX and VERSION)."""

    def __init__(self, url: str, *, prefix: str, timeout: float = 0.1) -> None:
        self._prefix = f"{prefix}:1:"
        self._claim_prefix = f"{prefix}:claims:"
        self._redis = open_redis(
            url, name="exact", connect_seconds=timeout, command_seconds=timeout
        )
        self._faults = RedisFaults("exact")
        self._pending_lookups: list[PendingLookup] = []
        self._fetch_tasks: set[asyncio.Task[None]] = set()

    async def get(self, key: str) -> bytes | None:
        loop = asyncio.get_running_loop()
        if not self._pending_lookups:
            loop.call_soon(self._start_fetch)
        answer: asyncio.Future[bytes | None] = loop.create_future()
        self._pending_lookups.append((self._prefix + key, answer))
        return await answer

    async def set(self, key: str, value: bytes, ttl: int) -> None:
        with self._faults:
            await self._redis.set(self._prefix + key, value, ex=ttl)

    async def delete(self, *keys: str) -> None:
        with self._faults:
            await self._redis.delete(*(self._prefix + key for key in keys))

    async def claim(self, name: str, seconds: int) -> bool:
        with self._faults:
            return bool(await self._redis.set(self._claim_prefix + name, b"", nx=True, ex=seconds))

    async def close(self) -> None:
        await self._redis.aclose()

    def _start_fetch(self) -> None:
        batch, self._pending_lookups = self._pending_lookups, []
        task = asyncio.create_task(self._fetch_batch(batch))
        self._fetch_tasks.add(task)
        task.add_done_callback(self._fetch_tasks.discard)

    async def _fetch_batch(self, batch: list[PendingLookup]) -> None:
        """Fetch all keys in one round trip and resolve the lookups that still wait."""
        try:
            with self._faults:
                found = await self._redis.mget([key for key, _ in batch])
        except ToolUnavailable as error:
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(ToolUnavailable(error.tool, error.reason))
            return
        for (_, answer), value in zip(batch, found, strict=True):
            if not answer.done():
                answer.set_result(value.encode() if isinstance(value, str) else value)
