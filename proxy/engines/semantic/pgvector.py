"""Semantic entries in PostgreSQL with pgvector >= 0.8: table `proxy_semanticentry`, made by Django's migrations.

A bucket is searched in one of two ways. Up to LARGE_BUCKET entries: a B-tree finds them and every distance is measured, which is exact
and takes about a microsecond an entry. Above that: the partial HNSW index of the default embedder (for other embedders, an exact scan).
The planner is not left to choose between the two: a prepared statement is planned for the average bucket, and filtered HNSW is slow and
may return too few rows when its bucket is a small part of the index (github.com/pgvector/pgvector#filtering); then the exact way is taken.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import psycopg
from pgvector import HalfVector
from pgvector.psycopg.halfvec import register_halfvec_info
from psycopg.types import TypeInfo
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from proxy.core.errors import ToolUnavailable
from proxy.core.ports import Candidate, SemanticEntry, Vector
from proxy.engines.semantic.deadline import detached
from proxy.engines.semantic.statements import DELETE, FACTS, PURGE, SETTINGS, UPSERT, WRITE_LIMIT, approximate, exact
from proxy.engines.semantic.values import checked_entry, clipped, storable, unit_vector

LARGE_BUCKET = 3000
LARGE_BUCKETS_KEPT = 10_000
PURGE_BATCH = 1000
T = TypeVar("T")
Rows = list[tuple[Any, ...]]


class Connection(psycopg.AsyncConnection[tuple[Any, ...]]):
    """A connection that is dropped when a query is cancelled: psycopg would ask the server to stop it and wait up to 10 s, and a server
    that hangs never answers."""

    async def cancel_safe(self, *, timeout: float = 30.0) -> None:
        self.pgconn.finish()


class PgvectorCache:
    """Entries of one embedder. `dsn`: a libpq URL; times in seconds: `timeout` bounds a look-up, `write_timeout` everything else.

    Nothing is connected before the first call, and a server that is down or hangs costs a call its timeout at most.
    """

    name = "pgvector_semantic"

    def __init__(
        self, dsn: str, embedder_id: str, dimension: int, *, timeout: float = 0.1, write_timeout: float = 2.0, pool_size: int = 4
    ) -> None:
        self._dsn = dsn
        self._embedder = embedder_id
        self._dimension = dimension
        self._timeout = timeout
        self._write_timeout = write_timeout
        self._exact = exact(embedder_id, dimension)
        self._approximate = approximate(embedder_id, dimension)
        self._large: set[str] = set()
        # The pool gives up a connection attempt after a second and starts again with the next call: with its default of five minutes
        # the pauses between attempts grow to minutes, and a server that is back would go unnoticed for as long.
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            dsn,
            connection_class=Connection,
            kwargs={"autocommit": True, "connect_timeout": 2, "application_name": "tokenthrift-semantic"},
            configure=self._configure,
            min_size=1,
            max_size=pool_size,
            timeout=timeout,
            reconnect_timeout=1.0,
            open=False,
            name="semantic",
        )

    async def nearest(self, bucket: str, vector: Vector, *, floor: float, limit: int) -> list[Candidate]:
        """Up to `limit` unexpired entries of the bucket with cosine >= `floor`, nearest first. Raises ToolUnavailable."""
        near = HalfVector(unit_vector(self.name, vector, self._dimension))
        rows = await detached(self._run(lambda connection: self._search(connection, bucket, near, limit), self._timeout))
        found = [
            Candidate(entry_id=row[0], similarity=clipped(1.0 - row[1]), scope=row[2], question=row[3], envelope=bytes(row[4]))
            for row in rows
        ]
        return [candidate for candidate in found if candidate.similarity >= floor]

    async def _search(self, connection: Connection, bucket: str, near: HalfVector, limit: int) -> Rows:
        values = {"bucket": bucket, "near": near, "limit": limit, "most": LARGE_BUCKET + 1}
        if bucket not in self._large:
            rows = await self._rows(connection, self._exact, values, prepare=True)
            if not rows or rows[0][5] <= LARGE_BUCKET:
                return rows
            if len(self._large) >= LARGE_BUCKETS_KEPT:
                self._large.clear()
            self._large.add(bucket)
        # Not prepared: planned anew each time, for this bucket's own size.
        rows = await self._rows(connection, self._approximate, values, prepare=False)
        if len(rows) == limit:
            return rows
        self._large.discard(bucket)  # it has shrunk, or the index gave up before it found enough
        return await self._rows(connection, self._exact, values | {"most": None}, prepare=True)

    async def add(self, entry: SemanticEntry) -> None:
        """Store one entry, visible to the next `nearest`. The same `entry_id` replaces. Raises ToolUnavailable."""
        values = columns(entry, checked_entry(self.name, entry, self._embedder, self._dimension))
        await detached(self._run(lambda connection: self._write(connection, UPSERT, values), self._write_timeout))

    async def delete(self, entry_id: str) -> None:
        """Remove one entry; one that does not exist is no error. Raises ToolUnavailable."""
        await detached(self._run(lambda connection: self._write(connection, DELETE, {"entry_id": entry_id}), self._write_timeout))

    async def purge(self) -> int:
        """Remove the expired entries of every embedder, a batch at a time; the number removed. Raises ToolUnavailable."""
        total = 0
        while True:
            work = self._run(lambda connection: self._write(connection, PURGE, {"limit": PURGE_BATCH}), self._write_timeout)
            removed = await detached(work)
            total += removed
            if removed < PURGE_BATCH:
                return total

    async def check(self) -> None:
        """Raises ToolUnavailable when PostgreSQL does not answer, or lacks the vector extension or the table."""
        try:
            extension, table = await detached(self._facts())
        except TimeoutError as error:
            raise ToolUnavailable(self.name, "PostgreSQL does not answer") from error
        except (psycopg.Error, OSError) as error:
            raise ToolUnavailable(self.name, f"PostgreSQL does not answer: {_reason(error)}") from error
        if not extension:
            raise ToolUnavailable(self.name, "the vector extension (pgvector 0.8 or later) is missing")
        if not table:
            raise ToolUnavailable(self.name, "the table proxy_semanticentry is missing: run migrate")

    async def close(self) -> None:
        """Close the connections; ends within a second even when the server hangs."""
        await self._pool.close(timeout=1.0)

    async def _facts(self) -> tuple[bool, bool]:
        """Whether extension and table exist, over a connection of its own: the pool would hide why it has none."""
        async with asyncio.timeout(self._write_timeout):
            async with await Connection.connect(self._dsn, autocommit=True, connect_timeout=2) as connection:
                row = await (await connection.execute(FACTS)).fetchone()
        return bool(row and row[0]), bool(row and row[1])

    async def _configure(self, connection: Connection) -> None:
        """Prepare a new connection for the pool: session settings, and halfvec parameters in binary."""
        async with asyncio.timeout(self._write_timeout):
            await connection.execute(SETTINGS, {"limit": _server_limit(self._timeout)})
            info = await TypeInfo.fetch(connection, "halfvec")
        if info is None:
            raise psycopg.ProgrammingError("the vector extension is missing")
        register_halfvec_info(connection, info)

    async def _rows(self, connection: Connection, query: bytes, values: dict[str, Any], *, prepare: bool) -> Rows:
        cursor = connection.cursor(binary=True)
        await cursor.execute(query, values, prepare=prepare)
        return await cursor.fetchall()

    async def _write(self, connection: Connection, query: bytes, values: dict[str, Any]) -> int:
        """Run a statement under the longer limit of writes; the number of rows it touched."""
        async with connection.transaction():
            await connection.execute(WRITE_LIMIT, {"limit": _server_limit(self._write_timeout)}, prepare=True)
            return (await connection.execute(query, values, prepare=True)).rowcount

    async def _run(self, work: Callable[[Connection], Awaitable[T]], seconds: float) -> T:
        """`work` on a connection of the pool, all within `seconds`. Raises ToolUnavailable, never anything else."""
        deadline = asyncio.get_running_loop().time() + seconds
        used: Connection | None = None
        try:
            await self._pool.open()
            async with self._pool.connection(timeout=seconds) as used:
                async with asyncio.timeout_at(deadline):
                    return await work(used)
        except (TimeoutError, PoolTimeout, TooManyRequests, psycopg.errors.QueryCanceled) as error:
            raise ToolUnavailable(self.name, f"PostgreSQL did not answer within {seconds:g} s") from error
        except PoolClosed as error:
            raise ToolUnavailable(self.name, "closed") from error
        except (psycopg.Error, OSError) as error:
            if used is not None and used.closed:
                # The server went away, and the idle connections with it: replace them all now rather than fail once for each.
                with contextlib.suppress(psycopg.Error):
                    await self._pool.drain()
            raise ToolUnavailable(self.name, _reason(error)) from error


def columns(entry: SemanticEntry, vector: Vector) -> dict[str, Any]:
    """The entry as a row of `proxy_semanticentry`, with this vector."""
    return {
        "entry_id": entry.entry_id,
        "bucket": entry.bucket,
        "scope": entry.scope,
        "plan_id": entry.plan_id,
        "embedder": entry.embedder,
        "question": storable(entry.question),
        "embedding": HalfVector(vector),
        "envelope": entry.envelope,
        "created_at": datetime.fromtimestamp(entry.created_at, UTC),
        "expires_at": datetime.fromtimestamp(entry.expires_at, UTC),
    }


def _server_limit(seconds: float) -> str:
    """A statement_timeout somewhat below the deadline here: a slow server then says so itself, and the connection lives on."""
    return f"{max(1, round(seconds * 800))}ms"


def _reason(error: BaseException) -> str:
    """The first line of the server's message and its SQLSTATE, without the detail lines, which quote values."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    state = getattr(error, "sqlstate", None)
    return f"{lines[0]} ({state})" if state else lines[0]
