"""Redis tells which keys of the exact tier change:
client-side caching in broadcasting mode (redis.io/docs/reference/client-side-caching).

One connection of its own: it subscribes to the invalidations and redirects its own tracking to
itself, which every Redis from 6.0 and every Valkey understands without RESP3. Written, deleted,
expired, evicted: each is a message that names the keys; FLUSHDB names none.
"""

import asyncio
import logging
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as SilenceError

from proxy.core.caching.local_cache import LocalCache

log = logging.getLogger("tokenthrift.proxy")
CHANNEL = "__redis__:invalidate"
# Seconds without a word before Redis is asked whether it is there, and again until it is held for
# gone.
SILENCE = 1.0
RETRY = 1.0
FAULTS = (RedisError, OSError, TimeoutError)


class Changes:
    """Keeps a `LocalCache` honest for as long as `run` runs.

    `prefix` as in `RedisCache`; `timeout` in seconds for connecting.
    """

    def __init__(self, url: str, recent: LocalCache, *, prefix: str, timeout: float) -> None:
        self._prefix = f"{prefix}:1:"
        self._recent = recent
        retry = Retry(NoBackoff(), 0)
        self._redis = Redis.from_url(
            url, protocol=2, socket_timeout=SILENCE, socket_connect_timeout=timeout, retry=retry
        )

    async def run(self) -> None:
        """Listen for ever; start again after a fault.

        A Redis that cannot tell is said once, and the first tier stays empty.
        """
        while True:
            connection = self._redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]  # of redis-py
            try:
                await self._listen(connection)
            except ResponseError as error:
                log.warning(
                    "Redis does not report changes, so every exact look-up asks it: %s", error
                )
                return
            except FAULTS:
                await asyncio.sleep(RETRY)
            finally:
                self._recent.stop_invalidations()
                await connection.disconnect(nowait=True)

    async def _listen(self, connection: AbstractConnection) -> None:
        await connection.connect()  # type: ignore[no-untyped-call]  # likewise
        me = await _ask(connection, "CLIENT", "ID")
        await _ask(
            connection, "CLIENT", "TRACKING", "ON", "REDIRECT", me, "BCAST", "PREFIX", self._prefix
        )
        await _ask(connection, "SUBSCRIBE", CHANNEL)
        self._recent.start_invalidations()
        while True:
            self._take(await _heard(connection))

    def _take(self, message: list[Any]) -> None:
        if message[0] != b"message":
            return
        keys = message[2]
        if keys is None:
            self._recent.clear()
        else:
            self._recent.invalidate_keys(
                key.decode("utf-8", "replace").removeprefix(self._prefix) for key in keys
            )


async def _ask(connection: AbstractConnection, *words: object) -> Any:
    await connection.send_command(*words)
    return await connection.read_response()


async def _heard(connection: AbstractConnection) -> list[Any]:
    """The next message; a silent Redis is asked for a sign of life first.

    Raises redis' own TimeoutError when it gives none.
    """
    try:
        message: list[Any] = await connection.read_response(disconnect_on_error=False)
    except SilenceError:
        await connection.send_command("PING")
        message = await connection.read_response()
    return message
