"""SQL that writes cache entries and counts their hits, in the flusher's transaction."""

from typing import Final

from django.db.models import CharField

from stats.models.cache_entries import CacheEntry, Erasure

# Held shared by writers of rows, exclusively by writers of an erasure: so a row that does not exist
# yet when an erasure begins sees the erasure.
ERASURE_LOCK: Final = 0x746B6570  # an arbitrary number
# Of `used_at`: it is indexed, and an index entry for each hit would be expensive.
USED_AT_STEP: Final = "10 seconds"
ENTRIES_TABLE, ERASURES_TABLE = CacheEntry._meta.db_table, Erasure._meta.db_table

_TEXT_COLUMN_LENGTHS = {
    field.column: field.max_length
    for field in CacheEntry._meta.concrete_fields
    if isinstance(field, CharField)
}
_OTHER_COLUMN_TYPES = {
    "tenant_id": "bigint",
    "plan_id": "bigint",
    "exact": "boolean",
    "bytes": "bigint",
}
_TIME_COLUMNS = ("created_at", "expires_at")
_COLUMNS_SQL = ", ".join(
    f'"{name}"' for name in (*_TEXT_COLUMN_LENGTHS, *_OTHER_COLUMN_TYPES, *_TIME_COLUMNS)
)
_VALUES_SQL = ", ".join(
    [f"left(x.{name}, {length})" for name, length in _TEXT_COLUMN_LENGTHS.items()]
    + [f'x."{name}"' for name in _OTHER_COLUMN_TYPES]
    + [f"to_timestamp(x.{name})" for name in _TIME_COLUMNS]
)
_TYPES_SQL = ", ".join(
    [f"{name} text" for name in _TEXT_COLUMN_LENGTHS]
    + [f'"{name}" {kind}' for name, kind in _OTHER_COLUMN_TYPES.items()]
    + [f"{name} double precision" for name in _TIME_COLUMNS]
)
_WRITTEN_COLUMNS = (
    *_TEXT_COLUMN_LENGTHS,
    *_OTHER_COLUMN_TYPES,
    *_TIME_COLUMNS,
    "used_at",
    "hits",
    "doomed_at",
    "removed",
)
# The name of a backend that the plan used before is kept: a copy there is not replaced by the new
# one.
_MERGE_BACKENDS_SQL = f"""backend = CASE WHEN string_to_array({ENTRIES_TABLE}.backend, ' ') @> string_to_array(excluded.backend, ' ') THEN {ENTRIES_TABLE}.backend
    ELSE ltrim({ENTRIES_TABLE}.backend || ' ' || excluded.backend) END"""
_REPLACE_SQL = ", ".join(
    [_MERGE_BACKENDS_SQL]
    + [
        f'"{name}" = excluded."{name}"'
        for name in _WRITTEN_COLUMNS
        if name not in ("entry_id", "backend")
    ]
)
_IS_ERASED_SQL = f"""EXISTS (SELECT FROM {ERASURES_TABLE} r WHERE r.at >= to_timestamp(x.created_at)
    AND coalesce(r.tenant_id, x.tenant_id) = x.tenant_id AND coalesce(r.plan_id, x.plan_id) = x.plan_id
    AND r.entry_id IN ('', x.entry_id, nullif(x.sent, '')) AND r.route IN ('', x.route)
    AND r.namespace IN ('', x.namespace) AND r.end_user IN ('', x.end_user))"""

SHARED_LOCK_SQL = f"SELECT pg_advisory_xact_lock_shared({ERASURE_LOCK})".encode()
# An entry that is stored again starts again; in the order of ids, so that two workers never wait
# for each other.
INSERT_ENTRIES_SQL = f"""
INSERT INTO {ENTRIES_TABLE} ({_COLUMNS_SQL}, used_at, hits, doomed_at, removed)
SELECT DISTINCT ON (x.entry_id) {_VALUES_SQL}, to_timestamp(x.created_at), 0, CASE WHEN {_IS_ERASED_SQL} THEN now() END, false
FROM jsonb_to_recordset(convert_from(%b, 'UTF8')::jsonb) AS x({_TYPES_SQL})
WHERE to_timestamp(x.expires_at) > now() ORDER BY x.entry_id, x.created_at DESC
ON CONFLICT (entry_id) DO UPDATE SET {_REPLACE_SQL} WHERE excluded.created_at >= {ENTRIES_TABLE}.created_at
""".encode()

# Follows `new`, the events just inserted. A row locked by another transaction is skipped: the
# ledger waits for nothing here.
COUNT_HITS_SQL = f"""
used AS (SELECT entry_id, count(*) AS hits, max(at) AS at FROM new
    WHERE entry_id <> '' AND (tier IN ('exact', 'semantic', 'sample') OR would <> '') GROUP BY entry_id),
asked AS (SELECT e.entry_id, used.hits, used.at FROM {ENTRIES_TABLE} e JOIN used ON e.entry_id = used.entry_id FOR UPDATE OF e SKIP LOCKED),
cut AS (SELECT e.entry_id, used.hits, used.at FROM {ENTRIES_TABLE} e JOIN used ON e.sent = used.entry_id AND e.sent <> ''
    FOR UPDATE OF e SKIP LOCKED),
noted AS (UPDATE {ENTRIES_TABLE} e SET hits = e.hits + u.hits,
    used_at = CASE WHEN u.at >= e.used_at + interval '{USED_AT_STEP}' THEN u.at ELSE e.used_at END
    FROM (SELECT * FROM asked UNION ALL SELECT * FROM cut) u WHERE e.entry_id = u.entry_id)"""
