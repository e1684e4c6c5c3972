"""Deleting from the caches: which entries, by what they are and whose. The workers empty the stores
themselves (`proxy.runtime.cache_sweeper`)."""

import time
from dataclasses import asdict, dataclass
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from stats.ledger import fingerprints
from stats.ledger.cache_entries import ERASURE_LOCK
from stats.models.cache_entries import CacheEntry, Erasure

POLL_INTERVAL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFilter:
    """What all must agree in; None and "" are any.

    `end_user` is a digest. An `entry_id` may also be that of a compressed request.
    """

    tenant_id: int | None = None
    plan_id: int | None = None
    entry_id: str = ""
    route: str = ""
    namespace: str = ""
    end_user: str = ""


def find_entries(wanted: EntryFilter) -> QuerySet[CacheEntry]:
    """The entries that agree, less those expired or deleted already."""
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
    """Every entry that may be served."""
    return CacheEntry.objects.filter(doomed_at=None, expires_at__gt=timezone.now())


def erase_entries(wanted: EntryFilter, *, by: str) -> tuple[int, datetime]:
    """Have everything go that was kept until now and agrees:
    the number known of, and the mark for `pending`.

    What a worker has stored but not written down yet is doomed as its row comes in, so it is not
    counted.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ERASURE_LOCK])
        erasure = Erasure.objects.create(at=timezone.now(), by=by[:200], **asdict(wanted))
    fingerprints.erase_fingerprints(erasure)
    erasure.entries = mark_deleted(find_entries(wanted), at=erasure.at)
    erasure.save(update_fields=["entries"])
    return erasure.entries, erasure.at


def mark_deleted(found: QuerySet[CacheEntry], *, at: datetime) -> int:
    """Have these entries go; how many. The workers look for them every quarter of a second."""
    fingerprints.erase_fingerprints_of_entries(found)
    return found.update(doomed_at=at, removed=False)


def wait_until_removed(at: datetime, *, seconds: float) -> int:
    """How many of the entries with that mark still stand in a store;
    waits up to `seconds` for there to be none."""
    until = time.monotonic() + seconds
    while (
        left := CacheEntry.objects.filter(doomed_at=at, removed=False).count()
    ) and time.monotonic() < until:
        time.sleep(POLL_INTERVAL_SECONDS)
    return left
