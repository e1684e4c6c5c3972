"""SQL that writes fingerprints, in the flusher's transaction, and their deletion."""

from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from stats.models.cache_entries import CacheEntry, Erasure
from stats.models.fingerprints import StoredImprint

FINGERPRINTS_TABLE, ERASURES_TABLE, ENTRIES_TABLE = (
    model._meta.db_table for model in (StoredImprint, Erasure, CacheEntry)
)
# An erasure is more specific than a fingerprint: rather delete one too many than one too few.
_IS_ERASED_SQL: Final = f"""EXISTS (SELECT FROM {ERASURES_TABLE} r WHERE r.at >= to_timestamp(x.at)
    AND coalesce(r.tenant_id, x.tenant_id) = x.tenant_id AND coalesce(r.plan_id, x.plan_id) = x.plan_id
    AND r.end_user IN ('', x.end_user) AND (r.entry_id = '' OR left(r.entry_id, 32) = replace(x.asked::text, '-', '')))"""
INSERT_FINGERPRINTS_SQL: Final = f"""
INSERT INTO {FINGERPRINTS_TABLE} (event_id, at, tenant_id, plan_id, key_id, asked, bucket, end_user, vector)
SELECT x.event_id, to_timestamp(x.at), x.tenant_id, x.plan_id, x.key_id, x.asked, nullif(x.bucket, '')::uuid, left(x.end_user, 64),
    decode(nullif(x.vector, ''), 'base64')
FROM jsonb_to_recordset(convert_from(%b, 'UTF8')::jsonb) AS x(event_id uuid, at double precision, tenant_id bigint, plan_id bigint,
    key_id bigint, asked uuid, bucket text, end_user text, vector text)
WHERE NOT {_IS_ERASED_SQL} ON CONFLICT (event_id) DO NOTHING""".encode()


def erase_fingerprints(erasure: Erasure) -> None:
    """Delete the fingerprints that an erasure covers."""
    wanted: dict[str, Any] = {
        "tenant_id": erasure.tenant_id,
        "plan_id": erasure.plan_id,
        "end_user": erasure.end_user or None,
    }
    rows = StoredImprint.objects.filter(
        at__lte=erasure.at, **{name: value for name, value in wanted.items() if value is not None}
    )
    if erasure.entry_id:
        rows = (
            rows.filter(asked=UUID(erasure.entry_id[:32]))
            if _has_key_digest(erasure.entry_id)
            else rows.none()
        )
    rows.delete()


def erase_fingerprints_of_entries(found: QuerySet[CacheEntry]) -> None:
    """Delete the fingerprints of requests that these entries answer."""
    query, values = found.values("entry_id").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(
            (
                f"DELETE FROM {FINGERPRINTS_TABLE} WHERE asked IN (SELECT left(f.entry_id, 32)::uuid "
                f"FROM ({query}) AS f WHERE f.entry_id ~ '^[0-9a-f]{{32}}')"
            ),
            values,
        )


def _has_key_digest(text: str) -> bool:
    return len(text) >= 32 and all(character in "0123456789abcdef" for character in text[:32])
