"""Invalidate the local cache when keys of the exact tier change in Redis.

Client-side caching in broadcasting mode (redis.io/docs/reference/client-side-caching). One
connection subscribes to the invalidations and redirects its own tracking to itself, which every
Redis from 6.0 and every Valkey understands without RESP3. A write, deletion, expiry or eviction is
a message that names the keys; FLUSHDB names none.
"""

import asyncio
import logging
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as SilenceError

from proxy.core.caching.local_cache import LocalCache
from proxy.engines.redis_client import REDIS_ERRORS, open_redis

log = logging.getLogger("tokenthrift.proxy")
INVALIDATION_CHANNEL = "__redis__:invalidate"
# Seconds without a message before Redis is pinged, and again until it is considered dead.
MAX_SILENCE_SECONDS = 1.0
RETRY_DELAY_SECONDS = 1.0


class KeyInvalidations:
    """Keeps a `LocalCache` in step with Redis while `listen` runs.

    `prefix` as in `RedisExactCache`; `timeout` in seconds for connecting.
    """

    def __init__(self, url: str, recent: LocalCache, *, prefix: str, timeout: float) -> None:
        self._prefix = f"{prefix}:1:"
        self._local_cache = recent
        self._redis = open_redis(
            url,
            name="invalidations",
            connect_seconds=timeout,
            command_seconds=MAX_SILENCE_SECONDS,
            protocol=2,
        )

    async def listen(self) -> None:
        """Listen for ever; reconnect after an error."""
        while True:
            connection = self._redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]  # of redis-py
            try:
                await self._track_keys(connection)
            except ResponseError as error:
                # Logged once; the local cache stays empty then.
                log.warning(
                    "Redis does not report changes, so every exact look-up asks it: %s", error
                )
                return
            except REDIS_ERRORS:
                await asyncio.sleep(RETRY_DELAY_SECONDS)
            finally:
                self._local_cache.stop_invalidations()
                await connection.disconnect(nowait=True)

    async def _track_keys(self, connection: AbstractConnection) -> None:
        await connection.connect()  # type: ignore[no-untyped-call]  # likewise
        me = await _send_command(connection, "CLIENT", "ID")
        await _send_command(
            connection, "CLIENT", "TRACKING", "ON", "REDIRECT", me, "BCAST", "PREFIX", self._prefix
        )
        await _send_command(connection, "SUBSCRIBE", INVALIDATION_CHANNEL)
        self._local_cache.start_invalidations()
        while True:
            self._apply_message(await _read_message(connection))

    def _apply_message(self, message: list[Any]) -> None:
        if message[0] != b"message":
            return
        keys = message[2]
        if keys is None:
            self._local_cache.clear()
        else:
            self._local_cache.invalidate_keys(
                key.decode("utf-8", "replace").removeprefix(self._prefix) for key in keys
            )


async def _send_command(connection: AbstractConnection, *words: object) -> Any:
    await connection.send_command(*words)
    return await connection.read_response()


async def _read_message(connection: AbstractConnection) -> list[Any]:
    """Return the next message; ping a silent Redis first.

    Raises redis-py's TimeoutError if it does not answer.
    """
    try:
        message: list[Any] = await connection.read_response(disconnect_on_error=False)
    except SilenceError:
        await connection.send_command("PING")
        message = await connection.read_response()
    return message
