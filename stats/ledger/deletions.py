"""Delete entries from the caches. Workers empty the stores (`proxy.runtime.cache_sweeper`)."""

import time
from dataclasses import asdict, dataclass
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from stats.ledger import fingerprint_sql
from stats.ledger.cache_entry_sql import ERASURE_LOCK
from stats.models.cache_entries import CacheEntry, Erasure

POLL_INTERVAL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFilter:
    """The fields that entries must match; None and "" match any.

    `end_user` is a digest. An `entry_id` may also be that of a compressed request.
    """

    tenant_id: int | None = None
    plan_id: int | None = None
    entry_id: str = ""
    route: str = ""
    namespace: str = ""
    end_user: str = ""


def find_entries(wanted: EntryFilter) -> QuerySet[CacheEntry]:
    """Query the matching entries, without those expired or deleted already."""
    given = {
        name: value
        for name, value in asdict(wanted).items()
        if name != "entry_id" and value not in (None, "")
    }
    found = find_servable_entries().filter(**given)
    return (
        found.filter(Q(entry_id=wanted.entry_id) | Q(sent=wanted.entry_id))
        if wanted.entry_id
        else found
    )


def find_servable_entries() -> QuerySet[CacheEntry]:
    """Query the entries that may be served."""
    return CacheEntry.objects.filter(doomed_at=None, expires_at__gt=timezone.now())


def erase_entries(wanted: EntryFilter, *, by: str) -> tuple[int, datetime]:
    """Delete everything stored until now that matches.

    Returns the number of known entries, and their mark for `wait_until_removed`.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        # See `stats.ledger.cache_entry_sql.ERASURE_LOCK`.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ERASURE_LOCK])
        erasure = Erasure.objects.create(at=timezone.now(), by=by[:200], **asdict(wanted))
    fingerprint_sql.erase_fingerprints(erasure)
    # What a worker has stored but not recorded yet is marked when its row is inserted, so it is not
    # counted.
    erasure.entries = mark_deleted(find_entries(wanted), at=erasure.at)
    erasure.save(update_fields=["entries"])
    return erasure.entries, erasure.at


def mark_deleted(found: QuerySet[CacheEntry], *, at: datetime) -> int:
    """Mark the entries as deleted; return their number. Workers check every quarter of a second."""
    fingerprint_sql.erase_fingerprints_of_entries(found)
    return found.update(doomed_at=at, removed=False)


def wait_until_removed(at: datetime, *, seconds: float) -> int:
    """Wait up to `seconds` for the removal of entries with that mark; return how many are left."""
    until = time.monotonic() + seconds
    while (
        left := CacheEntry.objects.filter(doomed_at=at, removed=False).count()
    ) and time.monotonic() < until:
        time.sleep(POLL_INTERVAL_SECONDS)
    return left
