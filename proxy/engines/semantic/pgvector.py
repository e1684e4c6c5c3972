"""Semantic entries in PostgreSQL with pgvector >= 0.8, in the table `proxy_semanticentry`.

Up to LARGE_BUCKET entries a B-tree finds a bucket and every distance is measured, which is exact
and takes about a microsecond an entry. A larger one is searched by the partial HNSW index of the
default embedder (for other embedders, by an exact scan).
"""

import asyncio
import struct
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import psycopg
from pgvector import HalfVector
from psycopg.pq.abc import PGresult

from proxy.core.caching.envelope import to_storable_text
from proxy.core.errors import ToolUnavailable
from proxy.core.ports import Candidate, OutdatedEntry, SemanticEntry
from proxy.core.types import Vector
from proxy.engines.semantic.entry_checks import check_entry, check_unit_vector, clip_similarity
from proxy.engines.semantic.pg_connection import PgValue
from proxy.engines.semantic.pg_pool import PgPool, PoolClosed
from proxy.engines.semantic.pg_sql import (
    DELETE_SQL,
    GET_SQL,
    MOVE_SQL,
    OUTDATED_SQL,
    PURGE_SQL,
    SCHEMA_CHECK_SQL,
    SESSION_SETTINGS_SQL,
    UPSERT_SQL,
    Statement,
    build_approximate_query,
    build_exact_query,
    build_statement,
)

LARGE_BUCKET = 3000
MAX_KNOWN_LARGE_BUCKETS = 10_000
PURGE_BATCH = 1000
# Number of connections; a lookup does not wait behind writes, and one slow write does not block the
# others.
READ_CONNECTIONS, WRITE_CONNECTIONS = 2, 2
UPSERT_STATEMENT, GET_STATEMENT, DELETE_STATEMENT = (
    build_statement(UPSERT_SQL, label="add"),
    build_statement(GET_SQL, label="get"),
    build_statement(DELETE_SQL, label="delete"),
)
PURGE_STATEMENT = build_statement(PURGE_SQL, label="purge")
OUTDATED_STATEMENT, MOVE_STATEMENT = (
    build_statement(OUTDATED_SQL),
    build_statement(MOVE_SQL, label="move"),
)


class DropOnCancelConnection(psycopg.AsyncConnection):
    """A connection that is dropped when a query is cancelled."""

    async def cancel_safe(self, *, timeout: float = 30.0) -> None:
        # psycopg would ask the server to stop the query and wait up to 10 s, and a server that
        # hangs never answers.
        self.pgconn.finish()


class PgvectorCache:
    """The entries of one embedder.

    `dsn`: a libpq URL; times in seconds: `timeout` limits a lookup, `write_timeout` everything
    else. Nothing is connected before the first call; a server that is down costs a call at most its
    timeout.
    """

    name = "pgvector_semantic"

    def __init__(
        self,
        dsn: str,
        embedder_id: str,
        dimension: int,
        *,
        timeout: float = 0.1,
        write_timeout: float = 2.0,
    ) -> None:
        self._dsn = dsn
        self._embedder = embedder_id
        self._dimension = dimension
        self._timeout = timeout
        self._write_timeout = write_timeout
        self._exact_statement = build_statement(
            build_exact_query(embedder_id, dimension), label="exact"
        )
        # Planned each time, for the bucket's own size.
        self._approximate_statement = build_statement(
            build_approximate_query(embedder_id, dimension)
        )
        self._large_buckets: set[str] = set()
        self._read_pool = PgPool(lambda: self._open_connection(timeout), READ_CONNECTIONS)
        self._write_pool = PgPool(lambda: self._open_connection(write_timeout), WRITE_CONNECTIONS)

    async def find_nearest(
        self, bucket: str, vector: Vector, *, floor: float, limit: int
    ) -> list[Candidate]:
        """Return the bucket's `limit` nearest unexpired entries with cosine >= `floor`.

        Raises ToolUnavailable.
        """
        near = HalfVector(check_unit_vector(self.name, vector, self._dimension)).to_binary()
        values: dict[str, PgValue] = {
            "bucket": bucket,
            "near": near,
            "limit": str(limit),
            "most": str(LARGE_BUCKET + 1),
        }
        found = build_candidates(
            await self._search_bucket(
                bucket, values, limit, asyncio.get_running_loop().time() + self._timeout
            )
        )
        return [candidate for candidate in found if candidate.similarity >= floor]

    async def _search_bucket(
        self, bucket: str, values: dict[str, PgValue], limit: int, until: float
    ) -> PGresult:
        """Search the bucket exactly or approximately, by its size; `until` by the loop's clock."""
        # The planner does not choose between the two: a prepared statement is planned for the
        # average bucket, and filtered HNSW is slow and may return too few rows if its bucket is a
        # small part of the index (github.com/pgvector/pgvector#filtering); then the exact way is
        # taken.
        if bucket not in self._large_buckets:
            found = await self._run_read(self._exact_statement, values, until)
            if not found.ntuples or count_compared(found) <= LARGE_BUCKET:
                return found
            if len(self._large_buckets) >= MAX_KNOWN_LARGE_BUCKETS:
                self._large_buckets.clear()
            self._large_buckets.add(bucket)
        found = await self._run_read(self._approximate_statement, values, until)
        if found.ntuples == limit:
            return found
        self._large_buckets.discard(
            bucket
        )  # it has shrunk, or the index stopped before it found enough
        return await self._run_read(self._exact_statement, values | {"most": None}, until)

    async def add(self, entry: SemanticEntry) -> None:
        """Store one entry, replacing one of the same `entry_id`; the next `find_nearest` sees it.

        Raises ToolUnavailable.
        """
        row = build_row(entry, check_entry(self.name, entry, self._embedder, self._dimension))
        await self._run_write(
            UPSERT_STATEMENT, {name: _to_pg_value(value) for name, value in row.items()}
        )

    async def delete(self, entry_id: str) -> None:
        """Delete an entry of any embedder; no error if there is none. Raises ToolUnavailable."""
        await self._run_write(DELETE_STATEMENT, {"entry_id": entry_id})

    async def get(self, entry_id: str) -> SemanticEntry | None:
        """Return the entry unless expired or another embedder's. Raises ToolUnavailable."""
        found = await self._run_write(
            GET_STATEMENT, {"entry_id": entry_id, "embedder": self._embedder}
        )
        return build_entry(found, entry_id, self._embedder) if found.ntuples else None

    async def purge_expired(self) -> int:
        """Delete the expired entries of every embedder in batches; return their number.

        Raises ToolUnavailable.
        """
        total = 0
        while True:
            removed = (
                await self._run_write(PURGE_STATEMENT, {"limit": str(PURGE_BATCH)})
            ).command_tuples or 0
            total += removed
            if removed < PURGE_BATCH:
                return total

    async def iter_outdated(self, batch: int) -> AsyncIterator[list[OutdatedEntry]]:
        """Iterate over unexpired entries of other embedders in batches. Raises ToolUnavailable."""
        after = ""
        while True:
            found = await self._run_write(
                OUTDATED_STATEMENT,
                {"embedder": self._embedder, "after": after, "limit": str(batch)},
            )
            yield [build_outdated_entry(found, row) for row in range(found.ntuples)]
            if found.ntuples < batch:
                return
            after = (found.get_value(found.ntuples - 1, 1) or b"").decode()

    async def move_entry(self, old: OutdatedEntry, vector: Vector) -> None:
        """Give another embedder's entry its vector of this one, unless it was replaced meanwhile.

        Raises ToolUnavailable.
        """
        embedding = HalfVector(check_unit_vector(self.name, vector, self._dimension)).to_binary()
        row: dict[str, PgValue] = {
            "embedder": self._embedder,
            "embedding": embedding,
            "entry_id": old.entry_id,
            "old": old.storage_location,
        }
        await self._run_write(MOVE_STATEMENT, row)

    async def check_ready(self) -> None:
        """Raise ToolUnavailable if PostgreSQL, the vector extension or the table is missing."""
        try:
            extension, table = await self._check_schema()
        except TimeoutError as error:
            raise ToolUnavailable(self.name, "PostgreSQL does not answer") from error
        except (psycopg.Error, OSError) as error:
            raise ToolUnavailable(
                self.name, f"PostgreSQL does not answer: {_describe_error(error)}"
            ) from error
        if not extension:
            raise ToolUnavailable(
                self.name, "the vector extension (pgvector 0.8 or later) is missing"
            )
        if not table:
            raise ToolUnavailable(
                self.name, "the table proxy_semanticentry is missing: run migrate"
            )

    async def close(self) -> None:
        """Close the connections without waiting for a server."""
        self._read_pool.close()
        self._write_pool.close()

    async def _check_schema(self) -> tuple[bool, bool]:
        """Return whether extension and table exist."""
        async with asyncio.timeout(self._write_timeout):
            async with await DropOnCancelConnection.connect(
                self._dsn, autocommit=True, connect_timeout=2
            ) as connection:
                row = await (await connection.execute(SCHEMA_CHECK_SQL)).fetchone()
        return bool(row and row[0]), bool(row and row[1])

    async def _open_connection(self, timeout: float) -> DropOnCancelConnection:
        """Open a connection whose statements the server cancels shortly before `timeout`.

        Raises psycopg.Error, OSError or TimeoutError.
        """
        async with asyncio.timeout(self._write_timeout):
            connection = await DropOnCancelConnection.connect(
                self._dsn,
                autocommit=True,
                connect_timeout=2,
                application_name="tokenthrift-semantic",
            )
            await connection.execute(
                SESSION_SETTINGS_SQL, {"limit": _format_statement_timeout(timeout)}
            )
        return connection

    async def _run_read(
        self, query: Statement, values: dict[str, PgValue], until: float
    ) -> PGresult:
        left = until - asyncio.get_running_loop().time()
        return await self._run_query(self._read_pool, query, values, left)

    async def _run_write(self, query: Statement, values: dict[str, PgValue]) -> PGresult:
        return await self._run_query(self._write_pool, query, values, self._write_timeout)

    async def _run_query(
        self, lines: PgPool, query: Statement, values: dict[str, PgValue], seconds: float
    ) -> PGresult:
        """Run a statement on a pool. Raises ToolUnavailable and nothing else."""
        try:
            return await lines.run_query(query, values, seconds)
        except (TimeoutError, psycopg.errors.QueryCanceled) as error:
            raise ToolUnavailable(self.name, "PostgreSQL did not answer in time") from error
        except PoolClosed as error:
            raise ToolUnavailable(self.name, "closed") from error
        except (psycopg.Error, OSError) as error:
            raise ToolUnavailable(self.name, _describe_error(error)) from error


def build_candidates(found: PGresult) -> list[Candidate]:
    """Build candidates from rows of entry_id, distance, scope, question, envelope, in binary."""
    made = []
    for row in range(found.ntuples):
        entry_id, distance, scope, question, envelope = (
            found.get_value(row, column) or b"" for column in range(5)
        )
        made.append(
            Candidate(
                entry_id=entry_id.decode(),
                similarity=clip_similarity(1.0 - struct.unpack("!d", distance)[0]),
                scope=scope.decode(),
                question=question.decode(),
                envelope=bytes(envelope),
            )
        )
    return made


def build_entry(found: PGresult, entry_id: str, embedder: str) -> SemanticEntry:
    """Build the entry from the one row of GET_SQL, in binary."""
    bucket, scope, plan_id, question, embedding, envelope, created_at, expires_at = (
        found.get_value(0, column) or b"" for column in range(8)
    )
    return SemanticEntry(
        entry_id=entry_id,
        bucket=bucket.decode(),
        scope=scope.decode(),
        plan_id=int.from_bytes(plan_id),
        embedder=embedder,
        question=question.decode(),
        vector=HalfVector.from_binary(embedding).to_numpy().astype(np.float32),
        envelope=bytes(envelope),
        created_at=struct.unpack("!d", created_at)[0],
        expires_at=struct.unpack("!d", expires_at)[0],
    )


def build_outdated_entry(found: PGresult, row: int) -> OutdatedEntry:
    """Build an entry from a row of OUTDATED_SQL, in binary."""
    place, entry_id, plan_id, question, envelope = (
        found.get_value(row, column) or b"" for column in range(5)
    )
    return OutdatedEntry(
        storage_location=place.decode(),
        entry_id=entry_id.decode(),
        plan_id=int.from_bytes(plan_id),
        question=question.decode(),
        envelope=bytes(envelope),
    )


def count_compared(found: PGresult) -> int:
    """Return how many entries an exact search compared."""
    return int.from_bytes(found.get_value(0, 5) or b"")


def build_row(entry: SemanticEntry, vector: Vector) -> dict[str, Any]:
    """Build the row of `proxy_semanticentry` for an entry with this vector."""
    return {
        "entry_id": entry.entry_id,
        "bucket": entry.bucket,
        "scope": entry.scope,
        "plan_id": entry.plan_id,
        "embedder": entry.embedder,
        "question": to_storable_text(entry.question),
        "embedding": HalfVector(vector),
        "envelope": entry.envelope,
        "created_at": datetime.fromtimestamp(entry.created_at, UTC),
        "expires_at": datetime.fromtimestamp(entry.expires_at, UTC),
    }


def _to_pg_value(value: HalfVector | bytes | datetime | int | str) -> PgValue:
    return (
        value.to_binary()
        if isinstance(value, HalfVector)
        else value
        if isinstance(value, bytes)
        else str(value)
    )


def _format_statement_timeout(seconds: float) -> str:
    """Format a statement_timeout slightly below the deadline in this process."""
    # A slow server then reports the timeout itself, and the connection stays usable.
    return f"{max(1, round(seconds * 800))}ms"


def _describe_error(error: BaseException) -> str:
    """Return the first line of the server's message and its SQLSTATE."""
    # The detail lines quote values.
    lines = str(error).strip().splitlines() or [type(error).__name__]
    state = getattr(error, "sqlstate", None)
    return f"{lines[0]} ({state})" if state else lines[0]
