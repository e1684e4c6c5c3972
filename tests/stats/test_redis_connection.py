"""A Redis that hangs costs those who ask it in passing no more than their deadline."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeout

from stats.redis_connection import open_async_redis, open_redis
from tests.support.servers import RedisServer

DEADLINE = 0.2
LOOSE = 1.0  # seconds a busy machine may add


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    made = RedisServer(tmp_path, search=False)
    yield made
    made.kill()


@pytest.mark.parametrize("connected", [True, False], ids=["connected", "new"])
def test_a_hung_redis_costs_a_call_its_deadline(server: RedisServer, connected: bool) -> None:
    with open_redis(server.url, seconds=DEADLINE) as client:
        if connected:
            assert client.ping()
        with server.frozen():
            start = time.monotonic()
            with pytest.raises(RedisTimeout):
                client.ping()
            assert DEADLINE * 0.9 <= time.monotonic() - start <= DEADLINE + LOOSE


@pytest.mark.parametrize("connected", [True, False], ids=["connected", "new"])
async def test_it_costs_no_more_in_an_event_loop(server: RedisServer, connected: bool) -> None:
    async with open_async_redis(server.url, seconds=DEADLINE) as client:
        if connected:
            assert await client.ping()
        with server.frozen():
            start = time.monotonic()
            with pytest.raises(RedisTimeout):
                await client.ping()
            assert DEADLINE * 0.9 <= time.monotonic() - start <= DEADLINE + LOOSE


async def test_one_that_is_gone_is_told_at_once(server: RedisServer) -> None:
    server.kill()
    start = time.monotonic()
    with pytest.raises(RedisConnectionError), open_redis(server.url, seconds=10) as client:
        client.ping()
    with pytest.raises(RedisConnectionError):
        async with open_async_redis(server.url, seconds=10) as waiting:
            await waiting.ping()
    assert time.monotonic() - start <= LOOSE
