"""One contract, three semantic backends: PostgreSQL and Redis for real; Qdrant as its client's
local engine, behind REST (tests/support/qdrant.py), and for real where QDRANT_URL names a
server."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import psycopg
import pytest
from qdrant_client import models
from redis.asyncio import Redis

from proxy.core.errors import ToolUnavailable
from proxy.core.ports import SemanticCache
from proxy.core.types import Vector
from proxy.engines.inference.exported_models import WORD_INDEX_ID
from proxy.engines.semantic import pgvector
from proxy.engines.semantic import redis as semantic_redis
from proxy.engines.semantic.pg_sql import (
    SESSION_SETTINGS_SQL,
    build_approximate_query,
    build_exact_query,
)
from proxy.engines.semantic.pgvector import PgvectorCache
from proxy.engines.semantic.redis import RedisSearchCache
from tests.support.backends import DIMENSION, GENEROUS, Backend, at

pytestmark = [
    pytest.mark.django_db,  # pytest-django makes the test database for marked tests only
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant"),
]


async def test_nearest_returns_what_was_stored_best_first(backend: Backend) -> None:
    cache = backend.cache()
    for degrees in (40, 0, 20):
        await cache.add(backend.entry(f"e{degrees}", at(degrees), envelope=bytes(range(256))))
    found = await cache.find_nearest("b1", at(0), floor=0.5, limit=5)
    assert [candidate.entry_id for candidate in found] == [
        backend.id("e0"),
        backend.id("e20"),
        backend.id("e40"),
    ]
    assert [candidate.similarity for candidate in found] == pytest.approx(
        [1.0, np.cos(np.radians(20)), np.cos(np.radians(40))], abs=1e-3
    )
    assert all(candidate.similarity <= 1.0 for candidate in found)
    assert (found[0].scope, found[0].question, found[0].envelope) == (
        "s1",
        "question e0",
        bytes(range(256)),
    )


async def test_limit_and_floor_bound_the_answer(backend: Backend) -> None:
    cache = backend.cache()
    for degrees in (0, 10, 20, 80):
        await cache.add(backend.entry(f"e{degrees}", at(degrees)))
    assert len(await cache.find_nearest("b1", at(0), floor=0.9, limit=10)) == 3
    assert len(await cache.find_nearest("b1", at(0), floor=0.9, limit=2)) == 2
    assert await cache.find_nearest("b1", at(180), floor=0.0, limit=10) == []


async def test_a_bucket_sees_only_its_own_entries(backend: Backend) -> None:
    cache = backend.cache()
    for number in range(30):
        await cache.add(backend.entry(f"other{number}", at(0), bucket="b2"))
    await cache.add(backend.entry("mine", at(60)))
    found = await cache.find_nearest("b1", at(0), floor=0.1, limit=3)
    assert [candidate.entry_id for candidate in found] == [backend.id("mine")]
    assert await cache.find_nearest("never-seen", at(0), floor=0.1, limit=3) == []


async def test_the_first_look_up_of_all_is_a_miss(backend: Backend) -> None:
    assert await backend.cache().find_nearest("b1", at(0), floor=0.1, limit=3) == []


async def test_a_bucket_name_is_never_read_as_query_syntax(backend: Backend) -> None:
    cache = backend.cache()
    name = "a b|c} @scope:{* -'\"\\%s"
    await cache.add(backend.entry("odd", at(0), bucket=name))
    assert len(await cache.find_nearest(name, at(0), floor=0.5, limit=3)) == 1
    assert await cache.find_nearest("*", at(0), floor=0.5, limit=3) == []


async def test_embedders_never_meet(backend: Backend) -> None:
    first, second = backend.cache("one"), backend.cache("two")
    wide = backend.cache("two%s", dimension=16)
    await first.add(backend.entry("e1", at(0), embedder="one"))
    await wide.add(backend.entry("e2", at(0, 16), embedder="two%s"))
    assert await second.find_nearest("b1", at(0), floor=0.1, limit=3) == []
    assert len(await first.find_nearest("b1", at(0), floor=0.1, limit=3)) == 1
    assert len(await wide.find_nearest("b1", at(0, 16), floor=0.1, limit=3)) == 1


async def test_an_expired_entry_is_never_returned(backend: Backend) -> None:
    cache = backend.cache()
    await cache.add(backend.entry("late", at(0), ttl=0.2))
    await cache.add(backend.entry("past", at(0), ttl=-5))
    await cache.add(backend.entry("fresh", at(30)))
    await asyncio.sleep(0.25)
    found = await cache.find_nearest("b1", at(0), floor=0.1, limit=1)
    assert [candidate.entry_id for candidate in found] == [backend.id("fresh")]


async def test_the_same_id_replaces(backend: Backend) -> None:
    cache = backend.cache()
    await cache.add(backend.entry("e", at(0), envelope=b"old"))
    await cache.add(backend.entry("e", at(10), envelope=b"new", bucket="b2"))
    assert await cache.find_nearest("b1", at(0), floor=0.1, limit=3) == []
    assert [
        candidate.envelope
        for candidate in await cache.find_nearest("b2", at(0), floor=0.1, limit=3)
    ] == [b"new"]


async def test_a_deleted_entry_is_gone_and_deleting_twice_is_no_error(backend: Backend) -> None:
    cache = backend.cache()
    await cache.add(backend.entry("e", at(0)))
    await cache.delete(backend.id("e"))
    await cache.delete(backend.id("e"))
    assert await cache.find_nearest("b1", at(0), floor=0.1, limit=3) == []


async def test_purge_removes_expired_entries_only(backend: Backend) -> None:
    cache = backend.cache()
    await cache.purge_expired()
    await cache.add(backend.entry("past", at(0), ttl=-5))
    await cache.add(backend.entry("fresh", at(0)))
    assert await cache.purge_expired() == (0 if backend.kind == "redis" else 1)
    assert [
        candidate.entry_id
        for candidate in await cache.find_nearest("b1", at(0), floor=0.1, limit=3)
    ] == [backend.id("fresh")]


@pytest.mark.parametrize(
    "vector",
    [
        at(0, 16),
        at(0) * np.float32(2),
        at(0) * np.float32(0),
        at(0) * np.float32("nan"),
        at(0) + np.float32("inf"),
        at(0).reshape(2, 4),
    ],
    ids=["dimension", "long", "zero", "nan", "inf", "shape"],
)
async def test_a_vector_that_is_no_unit_vector_of_this_dimension_is_refused(
    backend: Backend, vector: Vector
) -> None:
    cache = backend.cache()
    with pytest.raises(ToolUnavailable):
        await cache.add(backend.entry("e", vector))
    with pytest.raises(ToolUnavailable):
        await cache.find_nearest("b1", vector, floor=0.1, limit=3)


async def test_an_entry_of_another_embedder_is_refused(backend: Backend) -> None:
    with pytest.raises(ToolUnavailable, match="embedder"):
        await backend.cache().add(replace(backend.entry("e", at(0)), embedder="foreign"))


async def test_text_that_stores_refuse_is_cleaned_and_a_large_envelope_kept_whole(
    backend: Backend,
) -> None:
    cache = backend.cache()
    envelope = np.random.default_rng(1).bytes(1_000_000)
    await cache.add(
        backend.entry(
            "e", at(0), question="nul \x00 lone \ud800 \N{PILE OF POO}", envelope=envelope
        )
    )
    (found,) = await cache.find_nearest("b1", at(0), floor=0.5, limit=3)
    assert found.question == "nul  lone ? \N{PILE OF POO}"
    assert found.envelope == envelope


async def test_concurrent_writers_and_readers_agree(backend: Backend) -> None:
    cache = backend.cache()
    await asyncio.gather(
        *(cache.add(backend.entry(f"e{number}", at(number))) for number in range(60))
    )
    answers = await asyncio.gather(
        *(cache.find_nearest("b1", at(number), floor=0.5, limit=1) for number in range(60))
    )
    assert [answer[0].entry_id for answer in answers] == [
        backend.id(f"e{number}") for number in range(60)
    ]


async def test_cancelled_look_ups_leave_no_connection_behind(backend: Backend) -> None:
    cache = backend.cache()
    await cache.add(backend.entry("e", at(0)))
    for pause in np.linspace(0, 0.004, 60):
        look_ups = [
            asyncio.create_task(cache.find_nearest("b1", at(0), floor=0.5, limit=1))
            for _ in range(8)
        ]
        await asyncio.sleep(float(pause))
        for look_up in look_ups:
            look_up.cancel()
        await asyncio.gather(*look_ups, return_exceptions=True)
    answers = await asyncio.gather(
        *(cache.find_nearest("b1", at(0), floor=0.5, limit=1) for _ in range(40))
    )
    assert all(len(answer) == 1 for answer in answers)


async def test_check_passes_on_a_server_that_serves(backend: Backend) -> None:
    await backend.cache().check_ready()


async def test_a_look_up_after_close_is_unavailable_or_reconnects(backend: Backend) -> None:
    cache = backend.cache()
    await cache.find_nearest("b1", at(0), floor=0.5, limit=1)
    await cache.close()
    with contextlib.suppress(ToolUnavailable):
        assert await cache.find_nearest("b1", at(0), floor=0.5, limit=1) == []


async def test_a_redis_index_that_vanished_is_made_again(redis_url: str) -> None:
    backend = Backend("redis", f"{redis_url}/3")  # whatever the URL says, database 0 is used
    cache = backend.cache()
    await cache.add(backend.entry("e", at(0)))
    async with Redis.from_url(redis_url) as redis:
        names = [
            name
            for name in await redis.execute_command("FT._LIST")  # type: ignore[no-untyped-call]
            if backend.run.encode() in name
        ]
        await redis.execute_command("FT.DROPINDEX", names[0])  # type: ignore[no-untyped-call]
    assert await cache.find_nearest("b1", at(0), floor=0.5, limit=3) == []
    for _ in range(250):  # the entry that is there already is indexed in the background
        if await cache.find_nearest("b1", at(0), floor=0.5, limit=3):
            break
        await asyncio.sleep(0.02)
    await cache.add(backend.entry("e2", at(0)))
    assert len(await cache.find_nearest("b1", at(0), floor=0.5, limit=3)) == 2
    await cache.close()


async def test_a_qdrant_point_that_is_not_ours_is_passed_by() -> None:
    backend = Backend("qdrant-local", "")
    async with served(backend.cache()) as cache:
        await cache.add(backend.entry("e", at(10)))
        assert backend.local is not None
        (collection,) = (await backend.local.get_collections()).collections
        whole = {
            "bucket": "b1",
            "expires": time.time() + 60,
            "entry_id": "x",
            "scope": "s1",
            "question": "q",
            "envelope": "eA==",
        }
        for number, odd in enumerate(
            (
                whole | {"envelope": "!"},
                whole | {"envelope": 1},
                {"bucket": "b1", "expires": time.time() + 60},
            )
        ):
            point = models.PointStruct(id=number, vector=at(0).tolist(), payload=odd)
            await backend.local.upsert(collection.name, [point])
        assert [
            one.entry_id for one in await cache.find_nearest("b1", at(0), floor=0.5, limit=9)
        ] == [backend.id("e")]


@pytest.fixture
def large_bucket(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[psycopg.Connection[Any], Backend, Vector]]:
    """2,000 vectors of the default embedder in one bucket, more than an exact look-up measures."""
    monkeypatch.setattr(pgvector, "LARGE_BUCKET", 300)
    backend = Backend("pgvector", database_url)
    vectors = np.random.default_rng(5).normal(size=(2000, 128)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with psycopg.connect(database_url, autocommit=True) as connection:
        definition = index_definition(connection)
        # Built afterwards is four times quicker.
        connection.execute("DROP INDEX semantic_hnsw_words")
        try:
            fill(connection, backend, vectors)
            connection.execute(definition.encode())
            yield connection, backend, vectors
        finally:
            connection.execute("DELETE FROM proxy_semanticentry WHERE bucket = %s", [backend.run])
            connection.execute(
                definition.replace("CREATE INDEX", "CREATE INDEX IF NOT EXISTS").encode()
            )


async def test_a_large_bucket_is_searched_by_the_index_and_still_without_it(
    large_bucket: tuple[psycopg.Connection[Any], Backend, Vector],
) -> None:
    connection, backend, vectors = large_bucket
    assert WORD_INDEX_ID in index_definition(connection)
    assert "semantic_hnsw_words" in plan(
        connection, build_approximate_query(WORD_INDEX_ID, 128), backend.run
    )
    assert "semantic_hnsw_words" not in plan(
        connection, build_exact_query(WORD_INDEX_ID, 128), backend.run
    )

    async with served(PgvectorCache(backend.url, WORD_INDEX_ID, 128, timeout=GENEROUS)) as cache:
        for statement in (b"SELECT 1", b"DROP INDEX semantic_hnsw_words"):
            connection.execute(statement)
            for number in range(0, 2000, 100):
                (found,) = await cache.find_nearest(
                    backend.run, vectors[number], floor=0.7, limit=1
                )
                assert found.entry_id == backend.id(str(number))


async def test_an_index_that_gives_up_early_costs_time_and_no_answer(
    large_bucket: tuple[psycopg.Connection[Any], Backend, Vector], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, backend, vectors = large_bucket
    # One round through the index, which gives 40 rows, and no other way to the nearest but the
    # exact one.
    early = SESSION_SETTINGS_SQL.replace(b"strict_order", b"off").replace(
        b"SELECT", b"SELECT set_config('enable_sort', 'off', false),"
    )
    monkeypatch.setattr("proxy.engines.semantic.pgvector.SESSION_SETTINGS_SQL", early)
    async with served(PgvectorCache(backend.url, WORD_INDEX_ID, 128, timeout=GENEROUS)) as cache:
        for number in range(3):
            found = await cache.find_nearest(backend.run, vectors[number], floor=-1.0, limit=50)
            assert len(found) == 50
            assert found[0].entry_id == backend.id(str(number))


async def test_a_look_up_does_not_wait_for_writes(database_url: str) -> None:
    """Eight writes wait for the table, more than there are connections."""
    backend = Backend("pgvector", database_url)
    async with served(backend.cache()) as cache:
        await cache.add(backend.entry("e", at(0)))
        with psycopg.connect(database_url) as other:
            other.execute("LOCK TABLE proxy_semanticentry IN SHARE ROW EXCLUSIVE MODE")
            writes = [
                asyncio.create_task(cache.add(backend.entry(f"e{number}", at(60))))
                for number in range(8)
            ]
            await asyncio.sleep(0.05)
            found = [await cache.find_nearest("b1", at(0), floor=0.5, limit=1) for _ in range(3)]
            assert not any(write.done() for write in writes)
        await asyncio.gather(*writes)
        assert [len(one) for one in found] == [1, 1, 1]
        assert len(await cache.find_nearest("b1", at(60), floor=0.9, limit=20)) == 8


@contextlib.asynccontextmanager
async def served(cache: SemanticCache) -> AsyncIterator[SemanticCache]:
    """The cache, closed whatever happens: a pool left open keeps the event loop from ending."""
    try:
        yield cache
    finally:
        await cache.close()


def index_definition(connection: psycopg.Connection[Any]) -> str:
    row = connection.execute(
        "SELECT indexdef FROM pg_indexes WHERE indexname = 'semantic_hnsw_words'"
    ).fetchone()
    assert row is not None
    return str(row[0])


def plan(connection: psycopg.Connection[Any], query: bytes, bucket: str) -> str:
    values = {"near": f"[{','.join(['0.05'] * 128)}]", "bucket": bucket, "limit": 3, "most": 301}
    rows = connection.execute(
        b"EXPLAIN " + query.replace(b"%(near)s", b"%(near)s::halfvec"), values
    ).fetchall()
    return "\n".join(row[0] for row in rows)


def fill(connection: psycopg.Connection[Any], backend: Backend, vectors: Vector) -> None:
    copy = "COPY proxy_semanticentry FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(copy) as rows:
        for number, vector in enumerate(vectors):
            known = (backend.id(str(number)), backend.run, "s", 1, WORD_INDEX_ID, "q")
            rows.write_row((*known, str(vector.tolist()), b"x", "now", "tomorrow"))
    connection.execute("ANALYZE proxy_semanticentry")


async def test_redis_searches_a_large_bucket_by_the_graph_and_a_small_one_entry_by_entry(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command says which way; both find the nearest."""
    backend = Backend("redis", redis_url)
    vectors = np.random.default_rng(6).normal(size=(200, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    async with served(backend.cache()) as cache:
        assert isinstance(cache, RedisSearchCache)
        await asyncio.gather(
            *(
                cache.add(backend.entry(str(number), vector))
                for number, vector in enumerate(vectors)
            )
        )
        for most, policy in ((300, "ADHOC_BF"), (100, "BATCHES")):
            monkeypatch.setattr(semantic_redis, "LARGE_BUCKET", most)
            sent: list[Any] = []
            command = cache._command
            monkeypatch.setattr(
                cache,
                "_command",
                lambda *words, to=command, kept=sent: (kept.append(words), to(*words))[1],
            )
            found = await cache.find_nearest("b1", vectors[7], floor=0.9, limit=3)
            assert found[0].entry_id == backend.id("7")
            assert policy in str(sent[-1])
            cache._command = command


async def test_an_entry_can_be_read_by_its_id(backend: Backend) -> None:
    cache = backend.cache()
    stored = backend.entry(
        "mine",
        at(20),
        bucket="b7",
        scope="s7",
        question="How do I pay?",
        envelope=bytes(range(256)),
    )
    await cache.add(stored)
    found = await cache.get(backend.id("mine"))
    assert found is not None
    assert found.vector == pytest.approx(stored.vector, abs=1e-3)
    assert (found.created_at, found.expires_at) == pytest.approx(
        (stored.created_at, stored.expires_at), abs=1e-3
    )
    for name in ("entry_id", "bucket", "scope", "plan_id", "embedder", "question", "envelope"):
        assert getattr(found, name) == getattr(stored, name)
    assert await cache.get(backend.id("nobody")) is None
    assert await backend.cache(embedder="other").get(backend.id("mine")) is None
    await cache.add(found)  # as it came
    assert len(await cache.find_nearest("b7", at(20), floor=0.9, limit=5)) == 1


async def test_an_expired_entry_cannot_be_read(backend: Backend) -> None:
    cache = backend.cache()
    await cache.add(backend.entry("late", at(0), ttl=0.2))
    await asyncio.sleep(0.4)
    assert await cache.get(backend.id("late")) is None
