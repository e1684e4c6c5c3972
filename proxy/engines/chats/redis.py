"""What is known of chats, in Redis: a few bytes a chat, gone after an hour, and two hashes of some thirty numbers a tenant.

All of it may be lost at any time: then the price list and the chat itself decide (`proxy.core.compression.pays`).
"""

import time
from collections.abc import Mapping

import msgpack
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from proxy.core.chats import Known, Sent
from proxy.core.compression.ahead import interval
from proxy.core.errors import ToolUnavailable

FAULTS = (RedisError, OSError, TimeoutError)
# No provider promises to hold a prefix for longer without being paid for it.
CHAT_SECONDS = 3600
# How long chats are is counted by the week and remembered for two.
WEEK = 7 * 24 * 3600
CACHED, REPEATED = b"cached", b"repeated"


class RedisChats:
    """Chats by id, and their tenant's figures, under `<prefix>:chats:`."""

    def __init__(self, url: str, *, prefix: str, timeout: float = 0.1) -> None:
        self._prefix = f"{prefix}:chats:"
        # As for the exact cache: a hung Redis must not hold a request.
        self._redis = Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0))

    async def known(self, chat: str | None, *, tenant: int, route: int) -> Known:
        """What is known of a chat and its tenant, in one round trip. Raises ToolUnavailable."""
        week = int(time.time() // WEEK)
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.get(f"{self._prefix}{chat}")
                for number in (week, week - 1):
                    pipe.hgetall(self._figures(tenant, route, number))
                noted, *weeks = await pipe.execute()
        except FAULTS as error:
            raise ToolUnavailable("chats", type(error).__name__) from error
        return _known(noted if chat else None, weeks)

    async def note(self, chat: str, sent: Sent, *, turn: int, tenant: int, route: int, cached: int = 0, repeated: int = 0) -> None:
        """Remember how a chat was sent, and at which turn; `cached` of `repeated` tokens were billed as such. Raises ToolUnavailable."""
        figures = self._figures(tenant, route, int(sent.at // WEEK))
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.set(f"{self._prefix}{chat}", msgpack.packb((sent.how, sent.at, sent.tokens)), ex=CHAT_SECONDS)
                pipe.hincrby(figures, str(interval(turn)), 1)
                if repeated:
                    pipe.hincrby(figures, CACHED.decode(), cached)
                    pipe.hincrby(figures, REPEATED.decode(), repeated)
                pipe.expire(figures, 2 * WEEK)
                await pipe.execute()
        except FAULTS as error:
            raise ToolUnavailable("chats", type(error).__name__) from error

    async def close(self) -> None:
        await self._redis.aclose()

    def _figures(self, tenant: int, route: int, week: int) -> str:
        return f"{self._prefix}{tenant}:{route}:{week}"


def _known(noted: bytes | None, weeks: list[Mapping[bytes, bytes]]) -> Known:
    """What Redis holds, as far as it makes sense: anybody may have written there."""
    sums: dict[bytes, int] = {}
    for figures in weeks:
        for name, value in figures.items():
            if value.isdigit():
                sums[name] = sums.get(name, 0) + int(value)
    cached, repeated = sums.pop(CACHED, 0), sums.pop(REPEATED, 0)
    return Known(
        last=_sent(noted), requests={int(name): count for name, count in sums.items() if name.isdigit()}, cached=cached, repeated=repeated
    )


def _sent(noted: bytes | None) -> Sent | None:
    try:
        how, at, tokens = msgpack.unpackb(noted or b"")
    except (ValueError, TypeError, msgpack.UnpackException):
        return None
    return Sent(how, at, tokens) if how in ("whole", "cut") and isinstance(at, float) and isinstance(tokens, int) else None
