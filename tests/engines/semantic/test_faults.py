"""A server frozen, dead, full, read-only or the wrong one:
its semantic backend refuses in time, and is back by itself."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
import pytest_asyncio
import redis

from gateway_project.embedded import processes
from proxy.core.errors import ToolUnavailable
from proxy.core.ports import SemanticCache, SemanticEntry
from proxy.core.types import Vector
from proxy.engines.semantic.pgvector import PgvectorCache
from proxy.engines.semantic.qdrant import QdrantCache
from proxy.engines.semantic.redis import RedisSearchCache
from tests.support.entries import make_semantic_entry
from tests.support.servers import PostgresServer, QdrantServer, RedisServer, Server
from tests.support.upstream import running_upstream

DEADLINE, WRITE_DEADLINE = 0.1, 0.4
LOOSE = 5.0
TABLE = """
CREATE TABLE proxy_semanticentry (entry_id varchar(64) PRIMARY KEY, bucket varchar(64) NOT NULL, scope varchar(64) NOT NULL,
    plan_id bigint NOT NULL, embedder varchar(100) NOT NULL, question text NOT NULL, embedding halfvec NOT NULL, envelope bytea NOT NULL,
    created_at timestamptz NOT NULL, expires_at timestamptz NOT NULL)
"""  # noqa: E501 -- laid out as it is read
VECTOR: Vector = np.eye(8, dtype=np.float32)[0]


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    folder = tmp_path_factory.mktemp("postgres")
    for parent in (folder.parent, folder.parent.parent):
        parent.chmod(0o755)  # run by root, PostgreSQL uses another account
    server = PostgresServer(folder)
    yield server
    server.kill()


@pytest.fixture(scope="module")
def ready_postgres(postgres: PostgresServer) -> PostgresServer:
    execute(
        postgres.url,
        "CREATE EXTENSION IF NOT EXISTS vector",
        TABLE.replace("TABLE", "TABLE IF NOT EXISTS"),
    )
    return postgres


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture(scope="module")
def qdrant_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QdrantServer]:
    server = QdrantServer(tmp_path_factory.mktemp("qdrant"))
    yield server
    server.kill()


OPEN: list[SemanticCache] = []
SERVERS = {"pgvector": "ready_postgres", "redis": "redis_server", "qdrant": "qdrant_server"}


@pytest_asyncio.fixture(autouse=True)
async def closed_caches() -> AsyncIterator[None]:
    """Every cache of a test is closed, also when it fails:
    a pool left open keeps the event loop from ending."""
    yield
    while OPEN:
        await OPEN.pop().close()


@pytest_asyncio.fixture(params=SERVERS)
async def served(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Server, SemanticCache]]:
    """A server of our own and a cache on it that has answered."""
    server: Server = request.getfixturevalue(SERVERS[request.param])
    cache = cache_on(request.param, server.url)
    await back(cache)
    yield server, cache


def cache_on(kind: str, url: str, key: str = "") -> SemanticCache:
    cache: SemanticCache
    if kind == "pgvector":
        cache = PgvectorCache(url, "tiny", 8, timeout=DEADLINE, write_timeout=WRITE_DEADLINE)
    elif kind == "redis":
        cache = RedisSearchCache(
            url, "tiny", 8, prefix="faults", timeout=DEADLINE, write_timeout=WRITE_DEADLINE
        )
    else:
        cache = QdrantCache.from_url(
            url, key, "tiny", 8, prefix="faults", timeout=DEADLINE, write_timeout=WRITE_DEADLINE
        )
    OPEN.append(cache)
    return cache


def entry() -> SemanticEntry:
    return make_semantic_entry("tiny", VECTOR)


def look_up(cache: SemanticCache) -> Awaitable[list[Any]]:
    return cache.find_nearest("b", VECTOR, floor=0.5, limit=3)


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


async def back(cache: SemanticCache) -> None:
    """It serves again within 5 s, with no call that tells it to."""
    until = time.monotonic() + 5
    while True:
        try:
            await cache.add(entry())
            found = await asyncio.gather(*(look_up(cache) for _ in range(10)))
            assert all(len(one) == 1 for one in found)
        except ToolUnavailable:
            assert time.monotonic() < until
            await asyncio.sleep(0.05)
        else:
            return


async def refuses_in_time(call: Awaitable[object], seconds: float) -> str:
    """The reason given, within a loose bound; `seconds` is the deadline that was configured."""
    began = time.monotonic()
    with pytest.raises(ToolUnavailable) as caught:
        await call
    assert time.monotonic() - began < seconds + LOOSE
    return caught.value.reason


async def every_call_refuses(cache: SemanticCache) -> None:
    await asyncio.gather(*(refuses_in_time(look_up(cache), DEADLINE) for _ in range(20)))
    for call in (cache.add(entry()), cache.delete("e"), cache.check_ready()):
        await refuses_in_time(call, WRITE_DEADLINE)


async def test_a_frozen_server_costs_a_call_its_deadline_and_comes_back(
    served: tuple[Server, SemanticCache],
) -> None:
    server, cache = served
    with server.frozen():
        await every_call_refuses(cache)
        await every_call_refuses(cache)
    await back(cache)


async def test_callers_that_leave_a_frozen_server_leave_at_once_and_wedge_nothing(
    served: tuple[Server, SemanticCache],
) -> None:
    server, cache = served

    async def impatient() -> None:
        async with asyncio.timeout(0.02):
            await look_up(cache)

    with server.frozen():
        began = time.monotonic()
        answers = await asyncio.gather(*(impatient() for _ in range(50)), return_exceptions=True)
        assert time.monotonic() - began < LOOSE
        assert {type(answer) for answer in answers} <= {TimeoutError, ToolUnavailable}
    await back(cache)


async def test_a_killed_server_costs_little_and_is_found_again(
    served: tuple[Server, SemanticCache],
) -> None:
    server, cache = served
    server.kill()
    try:
        await every_call_refuses(cache)
        await asyncio.sleep(1.2)
        await every_call_refuses(cache)
    finally:
        server.restart()
    await back(cache)


async def test_closing_does_not_wait_for_a_frozen_server(
    served: tuple[Server, SemanticCache],
) -> None:
    server, cache = served
    with server.frozen():
        await refuses_in_time(look_up(cache), DEADLINE)
        async with asyncio.timeout(LOOSE):
            await cache.close()


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("pgvector", "postgres://nobody:wrong@127.0.0.1:{}/0"),
        ("redis", "redis://nobody:wrong@127.0.0.1:{}/0"),
        ("qdrant", "http://127.0.0.1:{}"),
    ],
)
async def test_nothing_listens(kind: str, url: str) -> None:
    cache = cache_on(kind, url.format(processes.find_free_port()))
    await every_call_refuses(cache)


async def test_check_says_what_postgresql_lacks(postgres: PostgresServer) -> None:
    execute(
        postgres.url,
        "DROP EXTENSION IF EXISTS vector CASCADE",
        "DROP TABLE IF EXISTS proxy_semanticentry",
    )
    cache = cache_on("pgvector", postgres.url)
    assert "vector extension" in await refuses_in_time(cache.check_ready(), LOOSE)
    await refuses_in_time(look_up(cache), DEADLINE)
    execute(postgres.url, "CREATE EXTENSION vector")
    assert "run migrate" in await refuses_in_time(cache.check_ready(), LOOSE)
    execute(postgres.url, TABLE)
    await cache.check_ready()
    await back(cache)


async def test_a_wrong_password_is_named(postgres: PostgresServer) -> None:
    cache = cache_on("pgvector", postgres.url.replace("secret", "wrong"))
    assert "password authentication failed" in await refuses_in_time(cache.check_ready(), LOOSE)
    await refuses_in_time(look_up(cache), DEADLINE)


async def test_idle_connections_cut_by_the_server_cost_at_most_one_look_up(
    ready_postgres: PostgresServer,
) -> None:
    cache = cache_on("pgvector", ready_postgres.url)
    await back(cache)
    execute(
        ready_postgres.url,
        (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'tokenthrift-semantic'"
        ),
    )
    refused = 0
    for _ in range(8):
        try:
            await look_up(cache)
        except ToolUnavailable:
            refused += 1
    assert refused <= 1


async def test_a_qdrant_that_refuses_the_key_says_so(tmp_path: Path) -> None:
    server = QdrantServer(tmp_path, "the-key")
    try:
        await back(cache_on("qdrant", server.url, "the-key"))
        cache = cache_on("qdrant", server.url, "another")
        for call in (look_up(cache), cache.add(entry()), cache.check_ready()):
            assert await refuses_in_time(call, LOOSE) == "Qdrant refuses: 401 Unauthorized"
    finally:
        server.kill()


async def test_a_service_that_is_no_qdrant_is_unavailable_as_one() -> None:
    with running_upstream() as upstream:
        upstream.body, upstream.status = b'{"result": 1}', 201
        cache = cache_on("qdrant", f"http://127.0.0.1:{upstream.port}")
        await every_call_refuses(cache)


async def test_a_redis_without_search_says_so(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, search=False)
    try:
        cache = cache_on("redis", server.url)
        assert "no search module" in await refuses_in_time(cache.check_ready(), LOOSE)
        for call in (look_up(cache), cache.add(entry())):
            assert "no search module" in await refuses_in_time(call, LOOSE)
    finally:
        server.kill()


@pytest.mark.parametrize(
    ("broken", "repaired"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
        (("CONFIG", "SET", "requirepass", "secret"), None),
    ],
    ids=["out-of-memory", "read-only", "password"],
)
async def test_a_redis_that_refuses_writes_is_unavailable_for_them(
    redis_server: RedisServer, broken: tuple[str, ...], repaired: tuple[str, ...] | None
) -> None:
    cache = cache_on("redis", redis_server.url)
    await back(cache)
    with redis.Redis.from_url(redis_server.url) as admin:
        admin.execute_command(*broken)
        try:
            fresh = cache_on("redis", redis_server.url)
            await refuses_in_time(fresh.add(entry()), WRITE_DEADLINE)
        finally:
            admin.execute_command(*(repaired or ("CONFIG", "SET", "requirepass", "")))
    await back(cache)


async def test_a_flushed_redis_is_a_miss_and_then_works(redis_server: RedisServer) -> None:
    cache = cache_on("redis", redis_server.url)
    await back(cache)
    with redis.Redis.from_url(redis_server.url) as admin:
        admin.flushall()
    assert await look_up(cache) == []
    await back(cache)
