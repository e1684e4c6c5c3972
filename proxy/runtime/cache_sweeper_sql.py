"""The SQL of the sweeper, a function a statement. Table and column names come from the models."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from plans.models import Plan, Tenant, TenantUsage
from stats.database import Connection
from stats.models.cache_entries import CacheEntry

COUNT_LOCK: Final = 0x746B636E  # any number of our own
# Seconds between the first and the second time; a store may take two (TOKENTHRIFT_STORE_BUDGET_MS).
AGAIN: Final = 5.0
BATCH: Final = 1000
MOST: Final = 10_000  # entries of one tenant looked at in one trim
ENTRIES, PLANS, TENANTS, USAGE = (
    model._meta.db_table for model in (CacheEntry, Plan, Tenant, TenantUsage)
)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tenant's entries come to, and what they may; None: no limit."""

    tenant_id: int
    tenant: str
    entries: int
    bytes: int
    max_entries: int | None
    max_bytes: int | None


@dataclass(frozen=True, slots=True)
class Doomed:
    """A deleted entry.

    `backends`: the semantic caches that may have it; `removed`: taken out of the stores once
    already.
    """

    entry_id: str
    sent: str
    backends: Sequence[str]
    exact: bool
    removed: bool


MAY_COUNT = f"""
SELECT pg_try_advisory_xact_lock({COUNT_LOCK})
    AND NOT EXISTS (SELECT FROM {USAGE} WHERE counted_at > now() - make_interval(secs => %s))
""".encode()
COUNT = f"""
WITH counted AS (
    INSERT INTO {USAGE} (tenant_id, entries, bytes, counted_at)
    SELECT t.id, count(e.entry_id), coalesce(sum(e.bytes), 0), now() FROM {TENANTS} t
    LEFT JOIN {ENTRIES} e ON e.tenant_id = t.id AND e.doomed_at IS NULL AND e.expires_at > now() GROUP BY t.id
    ON CONFLICT (tenant_id) DO UPDATE SET entries = excluded.entries, bytes = excluded.bytes, counted_at = excluded.counted_at
    RETURNING tenant_id, entries, bytes)
SELECT t.id, t.slug, c.entries, c.bytes, t.max_entries, t.max_bytes FROM counted c JOIN {TENANTS} t ON t.id = c.tenant_id
""".encode()
# Used longest ago first, until neither number nor bytes are too many.
TRIM = f"""
UPDATE {ENTRIES} SET doomed_at = now(), removed = false WHERE entry_id IN (
    SELECT entry_id FROM (
        SELECT entry_id, row_number() OVER used AS place, sum(bytes) OVER used - bytes AS before FROM (
            SELECT entry_id, bytes, used_at FROM {ENTRIES} WHERE tenant_id = %s AND doomed_at IS NULL AND expires_at > now()
            ORDER BY used_at LIMIT {MOST}) oldest
        WINDOW used AS (ORDER BY used_at, entry_id)) placed
    WHERE place <= %s OR before < %s ORDER BY entry_id)
""".encode()
ORPHANS = f"""
UPDATE {ENTRIES} e SET doomed_at = now(), removed = false
WHERE doomed_at IS NULL AND NOT EXISTS (SELECT FROM {PLANS} p JOIN {TENANTS} t ON t.id = e.tenant_id WHERE p.id = e.plan_id)
""".encode()
EXPIRED = f"""
DELETE FROM {ENTRIES} WHERE entry_id IN (
    SELECT entry_id FROM {ENTRIES} WHERE expires_at <= now() ORDER BY expires_at LIMIT {BATCH} FOR UPDATE SKIP LOCKED)
""".encode()
CLAIM = f"""
SELECT entry_id, sent, string_to_array(backend, ' '), exact, removed FROM {ENTRIES}
WHERE doomed_at IS NOT NULL AND (NOT removed OR doomed_at <= now() - make_interval(secs => {AGAIN}))
    AND NOT string_to_array(backend, ' ') && %s AND NOT (exact AND 'exact' = ANY(%s))
ORDER BY doomed_at LIMIT %s FOR UPDATE SKIP LOCKED
""".encode()
ONCE = f"UPDATE {ENTRIES} SET removed = true WHERE entry_id = ANY(%s)".encode()
TWICE = f"DELETE FROM {ENTRIES} WHERE entry_id = ANY(%s)".encode()


async def count(conn: Connection, *, every: float) -> list[Usage]:
    """Count the entries of every tenant; none when another worker did so within `every` seconds,
    or is about it."""
    allowed = await (await conn.execute(MAY_COUNT, (every,))).fetchone()
    if not allowed or not allowed[0]:
        return []
    return [Usage(*row) for row in await (await conn.execute(COUNT)).fetchall()]


async def trim(conn: Connection, usage: Usage) -> int:
    """Doom what the tenant has too much of, the least recently used first; how many.

    At most MOST at once.
    """
    entries = 0 if usage.max_entries is None else usage.entries - usage.max_entries
    surplus = 0 if usage.max_bytes is None else usage.bytes - usage.max_bytes
    if entries <= 0 and surplus <= 0:
        return 0
    return (await conn.execute(TRIM, (usage.tenant_id, entries, surplus))).rowcount


async def doom_orphans(conn: Connection) -> int:
    """Doom entries whose plan or tenant is gone; how many."""
    return (await conn.execute(ORPHANS)).rowcount


async def forget_expired(conn: Connection) -> bool:
    """Delete a batch of rows whose entries have expired; whether there may be more."""
    return (await conn.execute(EXPIRED)).rowcount == BATCH


async def claim(conn: Connection, *, away: Sequence[str], limit: int) -> list[Doomed]:
    """Deleted entries that stand in no store of `away`, locked until the transaction ends."""
    names = list(away)
    return [
        Doomed(*row) for row in await (await conn.execute(CLAIM, (names, names, limit))).fetchall()
    ]


async def settle(conn: Connection, done: Sequence[Doomed]) -> None:
    """These were taken out of their stores once more."""
    for query, again in ((ONCE, False), (TWICE, True)):
        if ids := [each.entry_id for each in done if each.removed is again]:
            await conn.execute(query, (ids,))
