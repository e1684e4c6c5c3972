"""Whoever changes an entry of the exact tier, by whatever road, every worker hears of it;
and a silent Redis is not trusted."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings
from django.core.cache import caches

from proxy.core.caching.local_cache import LocalCache
from proxy.engines.exact.invalidations import KeyInvalidations
from proxy.engines.exact.redis import RedisExactCache
from proxy.sealer import get_sealer
from tests.support.entries import decode, envelope
from tests.support.servers import RedisServer

LOOSE = 5.0
PREFIX = settings.CACHES["exact"]["KEY_PREFIX"]


async def eventually(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + LOOSE
    while not true():
        assert time.monotonic() < ends, "it did not come true"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[LocalCache]:
    """What two workers keep is one `LocalCache` each; here is one, told of changes."""
    recent = LocalCache(1024 * 1024)
    task = asyncio.create_task(KeyInvalidations(url, recent, prefix=PREFIX, timeout=1).listen())
    try:
        await eventually(lambda: recent.receives_invalidations)
        yield recent
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def read(recent: LocalCache, cache: RedisExactCache, key: str) -> None:
    recent.begin_read(key)
    recent.store_answer(key, decode(await cache.get(key) or b"", get_sealer()))
    recent.end_read(key)
    assert recent.get(key) is not None


CHANGES: dict[str, Callable[[Any], Any]] = {
    "deleted": lambda alias: alias.delete("watched"),
    "replaced": lambda alias: alias.set("watched", envelope(b'{"x":2}'), 60),
    "expired": lambda alias: alias.pexpire("watched", 1),
    "deleted by pattern": lambda alias: alias.delete_pattern("watch*"),
    "cleared": lambda alias: alias.clear(),
}


@pytest.mark.parametrize("how", CHANGES)
async def test_an_entry_that_changes_in_redis_is_forgotten(how: str) -> None:
    alias: Any = caches["exact"]
    cache = RedisExactCache(settings.REDIS_URL, prefix=PREFIX, timeout=1)
    alias.set("watched", envelope(), 60)
    async with listening(settings.REDIS_URL) as recent:
        await asyncio.sleep(0.1)  # the news of the write above
        await read(recent, cache, "watched")
        CHANGES[how](alias)
        await eventually(lambda: recent.get("watched") is None)
        assert recent.receives_invalidations
    await cache.close()


async def test_a_change_of_another_entry_leaves_this_one() -> None:
    alias: Any = caches["exact"]
    cache = RedisExactCache(settings.REDIS_URL, prefix=PREFIX, timeout=1)
    alias.set_many({"kept": envelope(), "other": envelope()}, 60)
    async with listening(settings.REDIS_URL) as recent:
        await asyncio.sleep(0.1)
        await read(recent, cache, "kept")
        await read(recent, cache, "other")
        alias.delete("other")
        await eventually(lambda: recent.get("other") is None)
        assert recent.get("kept") is not None
    await cache.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    made = RedisServer(tmp_path, search=False)
    yield made
    made.kill()


async def test_a_redis_that_dies_takes_what_was_kept_with_it_and_is_found_again(
    server: RedisServer,
) -> None:
    async with listening(server.url) as recent:
        recent.begin_read("a")
        recent.store_answer("a", envelope())
        server.kill()
        await eventually(lambda: not recent.receives_invalidations)
        assert recent.get("a") is None
        server.restart()
        await eventually(lambda: recent.receives_invalidations)


async def test_a_redis_that_falls_silent_is_no_longer_trusted(server: RedisServer) -> None:
    async with listening(server.url) as recent:
        recent.begin_read("a")
        recent.store_answer("a", envelope())
        with server.frozen():
            await eventually(lambda: not recent.receives_invalidations)
            assert recent.get("a") is None
        await eventually(lambda: recent.receives_invalidations)


async def test_a_quiet_redis_stays_trusted(server: RedisServer) -> None:
    async with listening(server.url) as recent:
        await asyncio.sleep(2.5)  # longer than the silence after which it is asked
        assert recent.receives_invalidations


async def test_a_redis_that_may_not_tell_is_done_without(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url) as admin:
        admin.execute_command(
            "ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-client|tracking"
        )
    recent = LocalCache(1024 * 1024)
    changes = KeyInvalidations(
        server.url.replace("redis://", "redis://app:secret@"), recent, prefix=PREFIX, timeout=1
    )
    await asyncio.wait_for(changes.listen(), LOOSE)  # gives up instead of asking for ever
    assert not recent.receives_invalidations
