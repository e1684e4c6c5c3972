"""Filling one bucket of a semantic backend with many entries:
how long it takes and what they occupy."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import psycopg
import redis
from pgvector.psycopg import register_vector

from proxy.core.ports import SemanticCache, SemanticEntry
from proxy.engines.semantic.pgvector import build_row

TYPES = (
    "varchar",
    "varchar",
    "varchar",
    "int8",
    "varchar",
    "text",
    "halfvec",
    "bytea",
    "timestamptz",
    "timestamptz",
)
BUILD_MEMORY = "2GB"  # an HNSW build that does not fit takes several times as long
AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Filled:
    """Seconds for loading and for building the index (0 where the store indexes while it loads),
    and bytes in the store, index included."""

    load_seconds: float
    build_seconds: float
    size: int


def fill_postgres(dsn: str, entries: Iterable[SemanticEntry]) -> Filled:
    """COPY the entries with the vector index dropped,
    then build that again as the migration made it."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        register_vector(connection)
        connection.execute(
            f"SET statement_timeout = 0; SET maintenance_work_mem = '{BUILD_MEMORY}'".encode()
        )
        indexes = connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE indexdef LIKE '%USING hnsw%'"
        ).fetchall()
        before = _table_size(connection)
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}".encode())
        begin = time.perf_counter()
        _copy(connection, entries)
        loaded = time.perf_counter()
        for _, definition in indexes:
            connection.execute(definition.encode())
        built = time.perf_counter()
        connection.execute("VACUUM ANALYZE proxy_semanticentry")
        return Filled(loaded - begin, built - loaded, _table_size(connection) - before)


def fill_redis(url: str, cache: SemanticCache, entries: Iterable[SemanticEntry]) -> Filled:
    """Add the entries by the backend itself, sixteen at a time;
    RediSearch indexes each as it comes."""

    async def add(source: Iterator[SemanticEntry]) -> None:
        while batch := list(islice(source, AT_ONCE)):
            await asyncio.gather(*(cache.add(entry) for entry in batch))

    with redis.Redis.from_url(url, db=0) as client:
        before = _memory(client)
        begin = time.perf_counter()
        asyncio.run(add(iter(entries)))
        return Filled(time.perf_counter() - begin, 0.0, _memory(client) - before)


def _copy(connection: psycopg.Connection, entries: Iterable[SemanticEntry]) -> None:
    rows = (build_row(entry, entry.vector) for entry in entries)
    first = next(rows)
    with connection.cursor().copy(
        f"COPY proxy_semanticentry ({', '.join(first)}) FROM STDIN (FORMAT BINARY)".encode()
    ) as copy:
        copy.set_types(TYPES)
        copy.write_row(list(first.values()))
        for row in rows:
            copy.write_row(list(row.values()))


def _table_size(connection: psycopg.Connection) -> int:
    found = connection.execute("SELECT pg_total_relation_size('proxy_semanticentry')").fetchone()
    return int(found[0]) if found else 0


def _memory(client: redis.Redis) -> int:
    return int(client.info("memory")["used_memory"])
