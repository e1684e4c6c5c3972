"""What is known of chats is kept in Redis for a while, and done without when it is lost."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import msgpack
import pytest
from django.conf import settings
from redis.asyncio import Redis

from proxy.core.errors import ToolUnavailable
from proxy.core.prompt_caching.conversations import ConversationHistory, LastPrompt
from proxy.core.sealing import Sealer
from proxy.engines.conversations.redis import (
    CONVERSATION_TTL_SECONDS,
    SEAL_PURPOSE,
    RedisConversationStore,
)
from tests.support.entries import SEALER

NOW = time.time()


@pytest.fixture
def prefix() -> str:
    return uuid.uuid4().hex


@pytest.fixture
async def chats(prefix: str) -> AsyncIterator[RedisConversationStore]:
    made = RedisConversationStore(settings.REDIS_URL, sealer=SEALER, prefix=prefix, timeout=1)
    yield made
    await made.close()


@pytest.fixture
async def redis() -> AsyncIterator[Redis]:
    made = Redis.from_url(settings.REDIS_URL)
    yield made
    await made.aclose()


async def test_nothing_is_known_at_first(chats: RedisConversationStore) -> None:
    assert await chats.load(None, tenant=1, route=1) == ConversationHistory()
    assert await chats.load("a", tenant=1, route=1) == ConversationHistory()


async def test_a_chat_is_found_and_its_turns_and_tokens_are_counted(
    chats: RedisConversationStore,
) -> None:
    await chats.save("a", LastPrompt("whole", NOW, 900), turn=1, tenant=1, route=1)
    await chats.save(
        "b",
        LastPrompt("cut", NOW, 400, 90, 7000),
        turn=7,
        tenant=1,
        route=1,
        cached=512,
        repeated=900,
    )
    await chats.save(
        "c", LastPrompt("cut", NOW, 410), turn=6, tenant=1, route=1, cached=128, repeated=400
    )
    known = await chats.load("b", tenant=1, route=1)
    assert known == ConversationHistory(
        last_prompt=LastPrompt("cut", NOW, 400, 90, 7000),
        requests_by_turn={1: 1, 6: 2},
        cached_tokens=640,
        repeated_tokens=1300,
    )


async def test_another_tenant_or_route_has_figures_of_its_own(
    chats: RedisConversationStore,
) -> None:
    await chats.save("a", LastPrompt("whole", NOW, 900), turn=1, tenant=1, route=1)
    for tenant, route in ((2, 1), (1, 2)):
        assert (await chats.load(None, tenant=tenant, route=route)).requests_by_turn == {}


async def test_chats_are_forgotten_after_an_hour_and_figures_after_two_weeks(
    chats: RedisConversationStore, redis: Redis, prefix: str
) -> None:
    await chats.save("a", LastPrompt("whole", NOW, 900), turn=1, tenant=1, route=1)
    left = {key: await redis.ttl(key) for key in await redis.keys(f"{prefix}:*")}
    assert sorted(left.values()) == pytest.approx([CONVERSATION_TTL_SECONDS, 14 * 24 * 3600], abs=2)


async def test_notes_of_many_at_once_all_count(chats: RedisConversationStore) -> None:
    await asyncio.gather(
        *(
            chats.save(str(n), LastPrompt("whole", NOW, 1), turn=2, tenant=1, route=1)
            for n in range(100)
        )
    )
    assert (await chats.load(None, tenant=1, route=1)).requests_by_turn == {2: 100}


async def test_what_makes_no_sense_is_passed_over(
    chats: RedisConversationStore, redis: Redis, prefix: str
) -> None:
    await chats.save("a", LastPrompt("whole", NOW, 900), turn=1, tenant=1, route=1)
    keys = await redis.keys(f"{prefix}:chats:1:*")
    await redis.hset(keys[0], mapping={"x": "1", "2": "many", "3": "-4", "4": "9" * 5000, "5": "7"})
    odd: tuple[object, ...] = (
        ["twice", NOW, 1],
        ["cut", NOW],
        ["cut", NOW, -1],
        ["cut", float("inf"), 1],
        ["cut", NOW, 1, 2, 3, 4],
        {},
        [[]] * 100,
        7,
    )
    for noted in (b"\xc1 no msgpack", *map(msgpack.packb, odd)):
        await redis.set(f"{prefix}:chats:a", SEALER.seal_value(SEAL_PURPOSE, noted, "a"))
        assert await chats.load("a", tenant=1, route=1) == ConversationHistory(
            requests_by_turn={1: 1}
        )


async def test_what_was_noted_of_another_chat_or_by_nobody_of_ours_is_not_believed(
    chats: RedisConversationStore, redis: Redis, prefix: str
) -> None:
    await chats.save("a", LastPrompt("cut", NOW, 900), turn=1, tenant=1, route=1)
    good: Any = await redis.get(f"{prefix}:chats:a")
    noted = msgpack.packb(["cut", NOW, 900, 0, 0])
    for planted in (
        good,
        noted,
        Sealer("other").seal_value(SEAL_PURPOSE, noted, "b"),
        SEALER.seal_value("answers", noted, "b"),
    ):
        await redis.set(f"{prefix}:chats:b", planted)
        assert (await chats.load("b", tenant=1, route=1)).last_prompt is None
    assert (await chats.load("a", tenant=1, route=1)).last_prompt is not None


async def test_a_redis_that_is_not_there_is_a_tool_unavailable() -> None:
    chats = RedisConversationStore("redis://127.0.0.1:9/1", sealer=SEALER, prefix="x", timeout=0.1)
    for call in (
        chats.load("a", tenant=1, route=1),
        chats.save("a", LastPrompt("whole", NOW, 1), turn=1, tenant=1, route=1),
    ):
        began = time.monotonic()
        with pytest.raises(ToolUnavailable):
            await call
        assert time.monotonic() - began < 2
    await chats.close()
