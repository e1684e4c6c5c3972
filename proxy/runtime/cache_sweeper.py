"""Remove deleted, surplus and expired entries from the stores; each worker runs one sweeper."""

import asyncio
import logging
from collections.abc import Awaitable, Sequence

from proxy.core.errors import ToolUnavailable
from proxy.engines.semantic.pgvector import DropOnCancelConnection
from proxy.pipeline.toolbox import Toolbox
from proxy.runtime import cache_sweeper_sql
from stats import database
from stats.database import Connection
from stats.monitoring import metrics

log = logging.getLogger("tokenthrift.proxy")
SWEEP_INTERVAL_SECONDS = 0.25  # between polls for deleted entries
COUNT_INTERVAL_SECONDS = 2.0  # or COUNT_PAUSE_FACTOR times as long as one took
COUNT_PAUSE_FACTOR = 50
# How long a failed store is skipped, and the longest pause while the database is unavailable.
RETRY_DELAY_SECONDS = 2.0
DATABASE_TIMEOUT_SECONDS = 10.0
CLAIM_BATCH_ROWS = 200


class CacheSweeper:
    """Sweeps the stores; `info` is a libpq connection string."""

    def __init__(self, tools: Toolbox, info: str) -> None:
        self._tools = tools
        self._conninfo = info
        self._conn: Connection | None = None
        self._stores_away_until: dict[str, float] = {}
        self._next_count_at = 0.0

    async def turn(self) -> None:
        """Sweep; drop the connection after a failure. Raises what `sweep_stores` raises."""
        try:
            await self.sweep_stores()
        except Exception:
            self.close()
            raise

    async def sweep_stores(self) -> None:
        """Count if due, then remove all that is deleted.

        Raises psycopg.Error, OSError or TimeoutError.
        """
        if self._conn is None or self._conn.closed:
            async with asyncio.timeout(database.CONNECT_TIMEOUT_SECONDS):
                self._conn = await DropOnCancelConnection.connect(
                    self._conninfo, autocommit=True, application_name="tokenthrift-sweeper"
                )
        now = asyncio.get_running_loop().time()
        if now >= self._next_count_at:
            await self._count_and_trim(self._conn)
            while await self._delete_expired_rows(self._conn):
                pass
            took = asyncio.get_running_loop().time() - now
            self._next_count_at = now + max(COUNT_INTERVAL_SECONDS, COUNT_PAUSE_FACTOR * took)
        while await self._remove_batch(self._conn):
            pass

    def close(self) -> None:
        """Drop the connection without waiting for the server."""
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.pgconn.finish()

    async def _count_and_trim(self, conn: Connection) -> None:
        """Count every tenant's entries; mark what exceeds a quota or is orphaned as deleted."""
        with database.enforce_deadline(conn, DATABASE_TIMEOUT_SECONDS):
            async with conn.transaction():
                usage = await cache_sweeper_sql.count_entries(
                    conn, every=COUNT_INTERVAL_SECONDS / 2
                )
                for each in usage:
                    metrics.CACHE_ENTRIES.labels(each.tenant).set(each.entries)
                    metrics.CACHE_BYTES.labels(each.tenant).set(each.bytes)
                    await cache_sweeper_sql.trim_tenant(conn, each)
                if usage:
                    await cache_sweeper_sql.mark_orphans_deleted(conn)

    async def _delete_expired_rows(self, conn: Connection) -> bool:
        with database.enforce_deadline(conn, DATABASE_TIMEOUT_SECONDS):
            return await cache_sweeper_sql.delete_expired_rows(conn)

    async def _remove_batch(self, conn: Connection) -> bool:
        """Remove one batch of deleted entries from their stores; return whether to go on."""
        # A deleted entry is removed twice, some seconds apart: its answer may have been on the way
        # to a store the first time. Rows are claimed with SKIP LOCKED, so workers share the work.
        # An unavailable store keeps only its own rows waiting.
        now = asyncio.get_running_loop().time()
        away = [name for name, until in self._stores_away_until.items() if until > now]
        with database.enforce_deadline(conn, DATABASE_TIMEOUT_SECONDS):
            async with conn.transaction():
                claimed = await cache_sweeper_sql.claim_deletions(
                    conn, away=away, limit=CLAIM_BATCH_ROWS
                )
                if not claimed:
                    return False
                failed = await self._delete_from_stores(claimed)
                self._stores_away_until |= dict.fromkeys(failed, now + RETRY_DELAY_SECONDS)
                done = [each for each in claimed if not failed & list_stores(each)]
                await cache_sweeper_sql.record_removals(conn, done)
        return True

    async def _delete_from_stores(
        self, claimed: Sequence[cache_sweeper_sql.PendingDeletion]
    ) -> set[str]:
        """Delete the entries from each store; return the stores that failed."""
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


def list_stores(each: cache_sweeper_sql.PendingDeletion) -> set[str]:
    """Return the names of the stores that have an entry."""
    return ({"exact"} if each.exact else set()) | set(each.backends)
