"""The hot path and Django's cache framework see the same entries."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import caches

from proxy.core.caching.envelope import Envelope
from proxy.core.errors import ToolUnavailable
from proxy.engines.exact.redis import RedisExactCache
from proxy.sealer import get_sealer
from tests.support.entries import COMPLETION, decode, encode, envelope


@pytest.fixture
async def cache() -> AsyncIterator[RedisExactCache]:
    made = RedisExactCache(
        settings.REDIS_URL, prefix=settings.CACHES["exact"]["KEY_PREFIX"], timeout=1
    )
    yield made
    await made.close()


@pytest.mark.parametrize("completion", [COMPLETION, COMPLETION.replace(b"card", b"word " * 50_000)])
async def test_an_entry_of_the_hot_path_is_read_listed_and_deleted_through_django(
    cache: RedisExactCache, completion: bytes
) -> None:
    await cache.set("from-the-hot-path", encode(envelope(completion), get_sealer()), 60)
    alias: Any = caches["exact"]
    found = alias.get("from-the-hot-path")
    assert isinstance(found, Envelope)
    assert found.completion == completion
    assert 0 < (alias.ttl("from-the-hot-path") or 0) <= 60
    assert "from-the-hot-path" in alias.keys("from-*")
    alias.delete("from-the-hot-path")
    assert await cache.get("from-the-hot-path") is None


async def test_an_entry_written_through_django_is_read_by_the_hot_path(
    cache: RedisExactCache,
) -> None:
    caches["exact"].set("from-django", envelope(), 60)
    assert decode(await cache.get("from-django") or b"", get_sealer()).completion == COMPLETION
    await cache.delete("from-django")
    assert caches["exact"].get("from-django") is None


async def test_what_is_not_sealed_is_not_there(cache: RedisExactCache) -> None:
    await cache.set("planted", encode(envelope()), 60)  # under another pepper
    assert caches["exact"].get("planted") is None
    await cache.delete("planted")


async def test_look_ups_at_once_share_a_round_trip_and_each_gets_its_own(
    cache: RedisExactCache,
) -> None:
    for number in range(50):
        await cache.set(f"many-{number}", str(number).encode(), 60)
    before = (
        caches["exact"]  # type: ignore[attr-defined]
        .client.get_client()
        .info("commandstats")
        .get("cmdstat_mget", {"calls": 0})["calls"]
    )
    keys = [f"many-{number}" for number in range(50)] + ["many-none"]
    found = await asyncio.gather(*(cache.get(key) for key in keys))
    assert found == [str(number).encode() for number in range(50)] + [None]
    after = caches["exact"].client.get_client().info("commandstats")["cmdstat_mget"]["calls"]  # type: ignore[attr-defined]
    assert after == before + 1


async def test_a_caller_that_leaves_keeps_nothing_from_the_others(cache: RedisExactCache) -> None:
    await cache.set("shared", b"x", 60)
    leaving, staying = (
        asyncio.create_task(cache.get("shared")),
        asyncio.create_task(cache.get("shared")),
    )
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == b"x"
    assert leaving.cancelled()


async def test_entries_expire(cache: RedisExactCache) -> None:
    await cache.set("short", b"x", 1)
    assert await cache.get("short") == b"x"
    time.sleep(1.1)  # noqa: ASYNC251 -- Redis's clock, not ours
    assert await cache.get("short") is None


async def test_a_redis_that_is_not_there_is_a_tool_unavailable() -> None:
    cache = RedisExactCache("redis://127.0.0.1:9/1", prefix="x", timeout=0.1)
    for call in (cache.get("k"), cache.set("k", b"v", 1), cache.delete("k")):
        began = time.monotonic()
        with pytest.raises(ToolUnavailable):
            await call
        assert time.monotonic() - began < 2
    await cache.close()


async def test_a_wrong_password_is_a_tool_unavailable() -> None:
    url = settings.REDIS_URL.replace("redis://:", "redis://:not-")
    cache = RedisExactCache(url, prefix="x", timeout=1)
    with pytest.raises(ToolUnavailable):
        await cache.get("k")
    await cache.close()


async def test_a_claim_is_one_callers_until_it_lapses(cache: RedisExactCache) -> None:
    other = RedisExactCache(
        settings.REDIS_URL, prefix=settings.CACHES["exact"]["KEY_PREFIX"], timeout=1
    )
    taken = await asyncio.gather(*(each.claim("renewal", 1) for each in (cache, other) * 10))
    assert taken.count(True) == 1
    assert await cache.claim("another", 1)
    await asyncio.sleep(1.2)
    assert await other.claim("renewal", 1)
    await other.close()


async def test_a_claim_on_a_redis_that_is_gone_says_so() -> None:
    gone = RedisExactCache("redis://127.0.0.1:1/0", prefix="x", timeout=0.2)
    with pytest.raises(ToolUnavailable):
        await gone.claim("renewal", 1)
    await gone.close()
