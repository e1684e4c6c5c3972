"""Entries that others write while they are brought under another embedder."""

import uuid
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import WatchError

from proxy.engines.semantic.redis_migration import MAX_MOVE_ATTEMPTS, move_hash


class BusyRedis(Redis):
    """A Redis whose hash another client writes each time it was read, so many times."""

    writes = 0
    written = 0
    key = ""

    def pipeline(self, transaction: Any = True, shard_hint: Any = None) -> "BusyPipeline":
        return BusyPipeline(self)


class BusyPipeline(Pipeline):
    def __init__(self, redis: BusyRedis) -> None:
        super().__init__(redis.connection_pool, redis.response_callbacks, True, None)
        self.busy = redis

    async def exists(self, *names: Any) -> Any:
        if self.busy.written < self.busy.writes:
            self.busy.written += 1
            await self.busy.hset(self.busy.key, "plan_id", str(self.busy.written))
        return await super().exists(*names)


@pytest.mark.parametrize(
    ("writes", "moves"), [(0, True), (MAX_MOVE_ATTEMPTS - 1, True), (10_000, False)]
)
async def test_a_hash_that_others_keep_writing_is_given_up(
    redis_url: str, writes: int, moves: bool
) -> None:
    old, new = (f"tests:{uuid.uuid4().hex}:{name}" for name in ("old", "new"))
    busy: Any = BusyRedis.from_url(f"{redis_url}/0")
    async with busy as redis:
        redis.key, redis.writes = old, writes
        await redis.hset(old, mapping={"plan_id": "0", "expires": "4102444800", "vector": "x"})
        if moves:
            await move_hash(redis, old, new, b"y")
            assert await redis.hget(new, "plan_id") == str(writes).encode()
        else:
            with pytest.raises(WatchError):
                await move_hash(redis, old, new, b"y")
            assert redis.written == MAX_MOVE_ATTEMPTS
        assert (await redis.exists(old), await redis.exists(new)) == (not moves, moves)
        await redis.delete(old, new)
