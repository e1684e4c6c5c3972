"""Semantic entries in PostgreSQL with pgvector >= 0.8:
table `proxy_semanticentry`, made by Django's migrations.

A bucket is searched in one of two ways. Up to LARGE_BUCKET entries: a B-tree finds them and every
distance is measured, which is exact and takes about a microsecond an entry. Above that: the partial
HNSW index of the default embedder (for other embedders, an exact scan). The planner is not left to
choose between the two: a prepared statement is planned for the average bucket, and filtered HNSW is
slow and may return too few rows when its bucket is a small part of the index
(github.com/pgvector/pgvector#filtering); then the exact way is taken.
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
from proxy.engines.semantic.pg_connection import Value
from proxy.engines.semantic.pg_pool import Closed, Lines
from proxy.engines.semantic.pg_sql import (
    DELETE,
    FACTS,
    GET,
    MOVE,
    OUTDATED,
    PURGE,
    SETTINGS,
    UPSERT,
    Statement,
    approximate,
    exact,
    statement,
)
from proxy.engines.semantic.validation import checked_entry, clipped, unit_vector

LARGE_BUCKET = 3000
LARGE_BUCKETS_KEPT = 10_000
PURGE_BATCH = 1000
# Connections; a look-up does not wait behind writes, and one slow write not in the way of all.
READERS, WRITERS = 2, 2
ADD, ONE, REMOVE = (
    statement(UPSERT, label="add"),
    statement(GET, label="get"),
    statement(DELETE, label="delete"),
)
REMOVE_EXPIRED = statement(PURGE, label="purge")
LIST, REEMBED = statement(OUTDATED), statement(MOVE, label="move")


class Connection(psycopg.AsyncConnection):
    """A connection that is dropped when a query is cancelled:
    psycopg would ask the server to stop it and wait up to 10 s, and a server that hangs never
    answers."""

    async def cancel_safe(self, *, timeout: float = 30.0) -> None:
        self.pgconn.finish()


class PgvectorCache:
    """Entries of one embedder.

    `dsn`: a libpq URL; times in seconds: `timeout` bounds a look-up, `write_timeout` everything
    else.

    Nothing is connected before the first call, and a server that is down or hangs costs a call its
    timeout at most.
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
        self._exact = statement(exact(embedder_id, dimension), label="exact")
        # Planned each time, for the bucket's own size.
        self._approximate = statement(approximate(embedder_id, dimension))
        self._large: set[str] = set()
        self._readers = Lines(lambda: self._connect(timeout), READERS)
        self._writers = Lines(lambda: self._connect(write_timeout), WRITERS)

    async def find_nearest(
        self, bucket: str, vector: Vector, *, floor: float, limit: int
    ) -> list[Candidate]:
        """Up to `limit` unexpired entries of the bucket with cosine >= `floor`, nearest first.

        Raises ToolUnavailable.
        """
        near = HalfVector(unit_vector(self.name, vector, self._dimension)).to_binary()
        values: dict[str, Value] = {
            "bucket": bucket,
            "near": near,
            "limit": str(limit),
            "most": str(LARGE_BUCKET + 1),
        }
        found = candidates(
            await self._search(
                bucket, values, limit, asyncio.get_running_loop().time() + self._timeout
            )
        )
        return [candidate for candidate in found if candidate.similarity >= floor]

    async def _search(
        self, bucket: str, values: dict[str, Value], limit: int, until: float
    ) -> PGresult:
        """All within one deadline, by the event loop's clock."""
        if bucket not in self._large:
            found = await self._read(self._exact, values, until)
            if not found.ntuples or measured(found) <= LARGE_BUCKET:
                return found
            if len(self._large) >= LARGE_BUCKETS_KEPT:
                self._large.clear()
            self._large.add(bucket)
        found = await self._read(self._approximate, values, until)
        if found.ntuples == limit:
            return found
        self._large.discard(bucket)  # it has shrunk, or the index gave up before it found enough
        return await self._read(self._exact, values | {"most": None}, until)

    async def add(self, entry: SemanticEntry) -> None:
        """Store one entry, visible to the next `find_nearest`.

        The same `entry_id` replaces. Raises ToolUnavailable.
        """
        row = columns(entry, checked_entry(self.name, entry, self._embedder, self._dimension))
        await self._write(ADD, {name: _sent(value) for name, value in row.items()})

    async def delete(self, entry_id: str) -> None:
        """Remove one entry, under whichever embedder; one that does not exist is no error.

        Raises ToolUnavailable.
        """
        await self._write(REMOVE, {"entry_id": entry_id})

    async def get(self, entry_id: str) -> SemanticEntry | None:
        """The entry, unless it has expired or is another embedder's. Raises ToolUnavailable."""
        found = await self._write(ONE, {"entry_id": entry_id, "embedder": self._embedder})
        return entry_of(found, entry_id, self._embedder) if found.ntuples else None

    async def purge_expired(self) -> int:
        """Remove the expired entries of every embedder, a batch at a time; the number removed.

        Raises ToolUnavailable.
        """
        total = 0
        while True:
            removed = (
                await self._write(REMOVE_EXPIRED, {"limit": str(PURGE_BATCH)})
            ).command_tuples or 0
            total += removed
            if removed < PURGE_BATCH:
                return total

    async def iter_outdated(self, batch: int) -> AsyncIterator[list[OutdatedEntry]]:
        """Unexpired entries of other embedders, `batch` at a time. Raises ToolUnavailable."""
        after = ""
        while True:
            found = await self._write(
                LIST, {"embedder": self._embedder, "after": after, "limit": str(batch)}
            )
            yield [outdated_of(found, row) for row in range(found.ntuples)]
            if found.ntuples < batch:
                return
            after = (found.get_value(found.ntuples - 1, 1) or b"").decode()

    async def move_entry(self, old: OutdatedEntry, vector: Vector) -> None:
        """Give an entry of another embedder its vector here;
        one that was replaced meanwhile stays as it is. Raises ToolUnavailable."""
        embedding = HalfVector(unit_vector(self.name, vector, self._dimension)).to_binary()
        row: dict[str, Value] = {
            "embedder": self._embedder,
            "embedding": embedding,
            "entry_id": old.entry_id,
            "old": old.storage_location,
        }
        await self._write(REEMBED, row)

    async def check_ready(self) -> None:
        """Raises ToolUnavailable when PostgreSQL does not answer,
        or lacks the vector extension or the table."""
        try:
            extension, table = await self._facts()
        except TimeoutError as error:
            raise ToolUnavailable(self.name, "PostgreSQL does not answer") from error
        except (psycopg.Error, OSError) as error:
            raise ToolUnavailable(
                self.name, f"PostgreSQL does not answer: {_reason(error)}"
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
        """Close the connections; waits for no server."""
        self._readers.close()
        self._writers.close()

    async def _facts(self) -> tuple[bool, bool]:
        """Whether extension and table exist."""
        async with asyncio.timeout(self._write_timeout):
            async with await Connection.connect(
                self._dsn, autocommit=True, connect_timeout=2
            ) as connection:
                row = await (await connection.execute(FACTS)).fetchone()
        return bool(row and row[0]), bool(row and row[1])

    async def _connect(self, timeout: float) -> Connection:
        """A new connection whose statements the server stops shortly before `timeout`.

        Raises psycopg.Error, OSError or TimeoutError.
        """
        async with asyncio.timeout(self._write_timeout):
            connection = await Connection.connect(
                self._dsn,
                autocommit=True,
                connect_timeout=2,
                application_name="tokenthrift-semantic",
            )
            await connection.execute(SETTINGS, {"limit": _server_limit(timeout)})
        return connection

    async def _read(self, query: Statement, values: dict[str, Value], until: float) -> PGresult:
        left = until - asyncio.get_running_loop().time()
        return await self._ask(self._readers, query, values, left)

    async def _write(self, query: Statement, values: dict[str, Value]) -> PGresult:
        return await self._ask(self._writers, query, values, self._write_timeout)

    async def _ask(
        self, lines: Lines, query: Statement, values: dict[str, Value], seconds: float
    ) -> PGresult:
        """Raises ToolUnavailable, never anything else."""
        try:
            return await lines.ask(query, values, seconds)
        except (TimeoutError, psycopg.errors.QueryCanceled) as error:
            raise ToolUnavailable(self.name, "PostgreSQL did not answer in time") from error
        except Closed as error:
            raise ToolUnavailable(self.name, "closed") from error
        except (psycopg.Error, OSError) as error:
            raise ToolUnavailable(self.name, _reason(error)) from error


def candidates(found: PGresult) -> list[Candidate]:
    """From rows of entry_id, distance, scope, question, envelope, in binary."""
    made = []
    for row in range(found.ntuples):
        entry_id, distance, scope, question, envelope = (
            found.get_value(row, column) or b"" for column in range(5)
        )
        made.append(
            Candidate(
                entry_id=entry_id.decode(),
                similarity=clipped(1.0 - struct.unpack("!d", distance)[0]),
                scope=scope.decode(),
                question=question.decode(),
                envelope=bytes(envelope),
            )
        )
    return made


def entry_of(found: PGresult, entry_id: str, embedder: str) -> SemanticEntry:
    """From the one row of GET, in binary."""
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


def outdated_of(found: PGresult, row: int) -> OutdatedEntry:
    """From a row of OUTDATED, in binary."""
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


def measured(found: PGresult) -> int:
    """How many entries an exact search compared."""
    return int.from_bytes(found.get_value(0, 5) or b"")


def columns(entry: SemanticEntry, vector: Vector) -> dict[str, Any]:
    """The entry as a row of `proxy_semanticentry`, with this vector."""
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


def _sent(value: HalfVector | bytes | datetime | int | str) -> Value:
    return (
        value.to_binary()
        if isinstance(value, HalfVector)
        else value
        if isinstance(value, bytes)
        else str(value)
    )


def _server_limit(seconds: float) -> str:
    """A statement_timeout somewhat below the deadline here:
    a slow server then says so itself, and the connection lives on."""
    return f"{max(1, round(seconds * 800))}ms"


def _reason(error: BaseException) -> str:
    """The first line of the server's message and its SQLSTATE, without the detail lines,
    which quote values."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    state = getattr(error, "sqlstate", None)
    return f"{lines[0]} ({state})" if state else lines[0]
