"""The SQL of the cache sweeper, one function per statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from plans.models import Plan, Tenant, TenantUsage
from stats.database import Connection
from stats.models.cache_entries import CacheEntry

COUNT_LOCK: Final = 0x746B636E  # an arbitrary advisory lock number
# Seconds between the two removals; storing may take two (TOKENTHRIFT_STORE_BUDGET_MS).
SECOND_REMOVAL_DELAY_SECONDS: Final = 5.0
EXPIRED_BATCH_ROWS: Final = 1000
MAX_TRIMMED_ENTRIES: Final = 10_000  # of one tenant at once
ENTRIES_TABLE, PLANS_TABLE, TENANTS_TABLE, USAGE_TABLE = (
    model._meta.db_table for model in (CacheEntry, Plan, Tenant, TenantUsage)
)


@dataclass(frozen=True, slots=True)
class TenantCacheUsage:
    """A tenant's cache usage and quota; None is no limit."""

    tenant_id: int
    tenant: str
    entries: int
    bytes: int
    max_entries: int | None
    max_bytes: int | None


@dataclass(frozen=True, slots=True)
class PendingDeletion:
    """An entry to remove; `backends` are the semantic caches that may have it."""

    entry_id: str
    sent: str
    backends: Sequence[str]
    exact: bool
    was_removed_once: bool


MAY_COUNT_SQL = f"""
SELECT pg_try_advisory_xact_lock({COUNT_LOCK})
    AND NOT EXISTS (SELECT FROM {USAGE_TABLE} WHERE counted_at > now() - make_interval(secs => %s))
""".encode()
COUNT_SQL = f"""
WITH counted AS (
    INSERT INTO {USAGE_TABLE} (tenant_id, entries, bytes, counted_at)
    SELECT t.id, count(e.entry_id), coalesce(sum(e.bytes), 0), now() FROM {TENANTS_TABLE} t
    LEFT JOIN {ENTRIES_TABLE} e ON e.tenant_id = t.id AND e.doomed_at IS NULL AND e.expires_at > now() GROUP BY t.id
    ON CONFLICT (tenant_id) DO UPDATE SET entries = excluded.entries, bytes = excluded.bytes, counted_at = excluded.counted_at
    RETURNING tenant_id, entries, bytes)
SELECT t.id, t.slug, c.entries, c.bytes, t.max_entries, t.max_bytes FROM counted c JOIN {TENANTS_TABLE} t ON t.id = c.tenant_id
""".encode()
# Least recently used first, until both the number and the bytes are within the quota.
TRIM_SQL = f"""
UPDATE {ENTRIES_TABLE} SET doomed_at = now(), removed = false WHERE entry_id IN (
    SELECT entry_id FROM (
        SELECT entry_id, row_number() OVER used AS place, sum(bytes) OVER used - bytes AS before FROM (
            SELECT entry_id, bytes, used_at FROM {ENTRIES_TABLE} WHERE tenant_id = %s AND doomed_at IS NULL AND expires_at > now()
            ORDER BY used_at LIMIT {MAX_TRIMMED_ENTRIES}) oldest
        WINDOW used AS (ORDER BY used_at, entry_id)) placed
    WHERE place <= %s OR before < %s ORDER BY entry_id)
""".encode()
MARK_ORPHANS_SQL = f"""
UPDATE {ENTRIES_TABLE} e SET doomed_at = now(), removed = false
WHERE doomed_at IS NULL AND NOT EXISTS (SELECT FROM {PLANS_TABLE} p JOIN {TENANTS_TABLE} t ON t.id = e.tenant_id WHERE p.id = e.plan_id)
""".encode()
DELETE_EXPIRED_SQL = f"""
DELETE FROM {ENTRIES_TABLE} WHERE entry_id IN (
    SELECT entry_id FROM {ENTRIES_TABLE} WHERE expires_at <= now() ORDER BY expires_at LIMIT {EXPIRED_BATCH_ROWS} FOR UPDATE SKIP LOCKED)
""".encode()
CLAIM_SQL = f"""
SELECT entry_id, sent, string_to_array(backend, ' '), exact, removed FROM {ENTRIES_TABLE}
WHERE doomed_at IS NOT NULL AND (NOT removed OR doomed_at <= now() - make_interval(secs => {SECOND_REMOVAL_DELAY_SECONDS}))
    AND NOT string_to_array(backend, ' ') && %s AND NOT (exact AND 'exact' = ANY(%s))
ORDER BY doomed_at LIMIT %s FOR UPDATE SKIP LOCKED
""".encode()
MARK_REMOVED_SQL = f"UPDATE {ENTRIES_TABLE} SET removed = true WHERE entry_id = ANY(%s)".encode()
DELETE_REMOVED_SQL = f"DELETE FROM {ENTRIES_TABLE} WHERE entry_id = ANY(%s)".encode()


async def count_entries(conn: Connection, *, every: float) -> list[TenantCacheUsage]:
    """Count the entries of every tenant; empty if a worker counts now or did in `every` seconds."""
    allowed = await (await conn.execute(MAY_COUNT_SQL, (every,))).fetchone()
    if not allowed or not allowed[0]:
        return []
    return [TenantCacheUsage(*row) for row in await (await conn.execute(COUNT_SQL)).fetchall()]


async def trim_tenant(conn: Connection, usage: TenantCacheUsage) -> int:
    """Mark a tenant's surplus as deleted, least recently used first; return how many.

    At most MAX_TRIMMED_ENTRIES at once.
    """
    entries = 0 if usage.max_entries is None else usage.entries - usage.max_entries
    surplus = 0 if usage.max_bytes is None else usage.bytes - usage.max_bytes
    if entries <= 0 and surplus <= 0:
        return 0
    return (await conn.execute(TRIM_SQL, (usage.tenant_id, entries, surplus))).rowcount


async def mark_orphans_deleted(conn: Connection) -> int:
    """Mark entries whose plan or tenant is gone as deleted; return how many."""
    return (await conn.execute(MARK_ORPHANS_SQL)).rowcount


async def delete_expired_rows(conn: Connection) -> bool:
    """Delete a batch of rows of expired entries; return whether there may be more."""
    return (await conn.execute(DELETE_EXPIRED_SQL)).rowcount == EXPIRED_BATCH_ROWS


async def claim_deletions(
    conn: Connection, *, away: Sequence[str], limit: int
) -> list[PendingDeletion]:
    """Lock and return deleted entries that are in no store of `away`, for this transaction."""
    names = list(away)
    return [
        PendingDeletion(*row)
        for row in await (await conn.execute(CLAIM_SQL, (names, names, limit))).fetchall()
    ]


async def record_removals(conn: Connection, done: Sequence[PendingDeletion]) -> None:
    """Record one more removal from the stores; delete the rows after the second."""
    for query, again in ((MARK_REMOVED_SQL, False), (DELETE_REMOVED_SQL, True)):
        if ids := [each.entry_id for each in done if each.was_removed_once is again]:
            await conn.execute(query, (ids,))
