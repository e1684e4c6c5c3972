"""Takes out of the stores what was deleted, what a tenant has beyond its quota, and what expired.

Each worker runs one.

A deleted entry is taken out twice, some seconds apart: its answer may have been on the way to a
store when it was deleted the first time. Rows are claimed with SKIP LOCKED, so workers share the
work. A store that is away keeps its rows waiting, and only those.
"""

import asyncio
import logging
from collections.abc import Awaitable, Sequence

from proxy.core.errors import ToolUnavailable
from proxy.engines.semantic.pgvector import Connection as Hasty
from proxy.pipeline.toolbox import Toolbox
from proxy.runtime import cache_sweeper_sql
from stats import database
from stats.database import Connection
from stats.monitoring import metrics

log = logging.getLogger("tokenthrift.proxy")
EVERY = 0.25  # seconds between looks for deleted entries
COUNT_EVERY = 2.0  # seconds between counts, or SHARE as long as one took
SHARE = 50
# Seconds for which a store that failed is left alone, and the longest pause while the database is
# away.
AWAY = 2.0
DEADLINE = 10.0
BATCH = 200


class Sweeper:
    """`info`: a libpq connection string."""

    def __init__(self, tools: Toolbox, info: str) -> None:
        self._tools = tools
        self._info = info
        self._conn: Connection | None = None
        self._away: dict[str, float] = {}
        self._count_at = 0.0

    async def turn(self) -> None:
        """Sweep; after a failure the next turn connects anew. Raises what `sweep` raises."""
        try:
            await self.sweep()
        except Exception:
            self.close()
            raise

    async def sweep(self) -> None:
        """One turn. Raises psycopg.Error, OSError or TimeoutError."""
        if self._conn is None or self._conn.closed:
            async with asyncio.timeout(database.CONNECT_DEADLINE):
                self._conn = await Hasty.connect(
                    self._info, autocommit=True, application_name="tokenthrift-sweeper"
                )
        now = asyncio.get_running_loop().time()
        if now >= self._count_at:
            await self._count(self._conn)
            while await self._forget(self._conn):
                pass
            took = asyncio.get_running_loop().time() - now
            self._count_at = now + max(COUNT_EVERY, SHARE * took)
        while await self._remove(self._conn):
            pass

    def close(self) -> None:
        """Drop the connection; waits for no server."""
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.pgconn.finish()

    async def _count(self, conn: Connection) -> None:
        """Count every tenant's entries, doom what is beyond a quota and
        what belongs to nobody any more."""
        with database.deadline(conn, DEADLINE):
            async with conn.transaction():
                usage = await cache_sweeper_sql.count(conn, every=COUNT_EVERY / 2)
                for each in usage:
                    metrics.CACHE_ENTRIES.labels(each.tenant).set(each.entries)
                    metrics.CACHE_BYTES.labels(each.tenant).set(each.bytes)
                    await cache_sweeper_sql.trim(conn, each)
                if usage:
                    await cache_sweeper_sql.doom_orphans(conn)

    async def _forget(self, conn: Connection) -> bool:
        with database.deadline(conn, DEADLINE):
            return await cache_sweeper_sql.forget_expired(conn)

    async def _remove(self, conn: Connection) -> bool:
        """Take one batch of deleted entries out of their stores; whether there may be more."""
        now = asyncio.get_running_loop().time()
        away = [name for name, until in self._away.items() if until > now]
        with database.deadline(conn, DEADLINE):
            async with conn.transaction():
                claimed = await cache_sweeper_sql.claim(conn, away=away, limit=BATCH)
                if not claimed:
                    return False
                failed = await self._take_out(claimed)
                self._away |= dict.fromkeys(failed, now + AWAY)
                done = [each for each in claimed if not failed & stores_of(each)]
                await cache_sweeper_sql.settle(conn, done)
        return True

    async def _take_out(self, claimed: Sequence[cache_sweeper_sql.Doomed]) -> set[str]:
        """Delete from each store what it has of these; the stores that failed."""
        tools, failed = self._tools, set[str]()
        keys = [key for each in claimed if each.exact for key in (each.entry_id, each.sent) if key]
        work: list[tuple[str, Awaitable[None]]] = (
            [("exact", tools.exact_cache.delete(*keys))] if keys else []
        )
        work += [
            (name, tools.semantic_caches[name].delete(each.entry_id))
            for each in claimed
            for name in each.backends
            if name in tools.semantic_caches
        ]
        for (name, _), outcome in zip(
            work,
            await asyncio.gather(*(deed for _, deed in work), return_exceptions=True),
            strict=True,
        ):
            if isinstance(outcome, ToolUnavailable):
                failed.add(name)
            elif isinstance(outcome, BaseException):
                raise outcome
        for name in failed:
            log.warning("deleted entries wait for %s, which does not answer", name)
        return failed


def stores_of(each: cache_sweeper_sql.Doomed) -> set[str]:
    """The names of the tools that keep it."""
    return ({"exact"} if each.exact else set()) | set(each.backends)
