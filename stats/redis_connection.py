"""Short-lived Redis clients outside the request path, with deadlines and without retries."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.driver_info import DriverInfo
from redis.retry import Retry


@contextmanager
def open_redis(url: str, *, seconds: float, database: int | None = None) -> Iterator[redis.Redis]:
    """Open a client and close it after the block; `seconds` bound connecting and each reply.

    `database`: instead of the one in the URL. Raises ValueError for what is no URL of a Redis.
    """
    client = redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **_build_options(seconds))
    if database is not None:
        client.connection_pool.connection_kwargs["db"] = database
    try:
        yield client
    finally:
        client.close()


@asynccontextmanager
async def open_async_redis(url: str, *, seconds: float) -> AsyncIterator[redis.asyncio.Redis]:
    """Open a client as `open_redis` does, for an event loop."""
    client = redis.asyncio.Redis.from_url(
        url, retry=AsyncRetry(NoBackoff(), 0), **_build_options(seconds)
    )
    try:
        yield client
    finally:
        await client.aclose(close_connection_pool=True)


def _build_options(seconds: float) -> dict[str, Any]:
    return {
        "socket_connect_timeout": seconds,
        "socket_timeout": seconds,
        "driver_info": DriverInfo(name="redis-py(tokenthrift)"),
    }
