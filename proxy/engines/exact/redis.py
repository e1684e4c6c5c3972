"""The exact tier in Redis. Keys and values are those of the django-redis alias `exact`, so the admin sees what the hot path wrote."""

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from proxy.core.errors import ToolUnavailable


class RedisCache:
    """Bytes by key under `<prefix>:1:`, the form django-redis gives them (its KEY_PREFIX and VERSION)."""

    def __init__(self, url: str, *, prefix: str, timeout: float = 0.1) -> None:
        self._prefix = f"{prefix}:1:"
        # redis-py's own defaults would hold a request for a minute when Redis hangs, and seconds when it is gone.
        self._redis = Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0))

    async def get(self, key: str) -> bytes | None:
        try:
            found = await self._redis.get(self._prefix + key)
        except (RedisError, OSError, TimeoutError) as error:
            raise ToolUnavailable("exact", type(error).__name__) from error
        return found.encode() if isinstance(found, str) else found

    async def set(self, key: str, value: bytes, ttl: int) -> None:
        try:
            await self._redis.set(self._prefix + key, value, ex=ttl)
        except (RedisError, OSError, TimeoutError) as error:
            raise ToolUnavailable("exact", type(error).__name__) from error

    async def delete(self, key: str) -> None:
        try:
            await self._redis.delete(self._prefix + key)
        except (RedisError, OSError, TimeoutError) as error:
            raise ToolUnavailable("exact", type(error).__name__) from error

    async def close(self) -> None:
        await self._redis.aclose()
