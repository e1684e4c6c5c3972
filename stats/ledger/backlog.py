"""How far the ledger is behind: spooled lines, requests not rolled up, calls in flight."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet, Sum

from stats.ledger.spool import SPOOL_SUFFIX
from stats.models.requests import SpoolCursor, UpstreamAttempt
from stats.models.rollups import PLAN_CUT, Rollup, Unfolded
from stats.time_grains import DAY

# What is on its way into the ledger, or never arrives: spooled lines, requests to roll up, calls in
# flight or of unknown outcome.


@dataclass(frozen=True, slots=True)
class BacklogDetails:
    """What the ledger does not contain yet.

    `abandoned_calls`: how many ended without an answer; `unknown_calls`: those whose worker was
    killed before they were settled.
    """

    spooled_bytes: int
    pending_requests: int
    calls_in_flight: int
    abandoned_calls: int
    unknown_calls: tuple[UpstreamAttempt, ...]


def inspect_backlog(spool: Path) -> BacklogDetails:
    """Inspect the backlog as of now; the spool files are those of this machine."""
    unknown = tuple(find_unknown_outcomes().order_by("event_id"))
    return BacklogDetails(
        spooled_bytes=_count_spooled_bytes(spool),
        pending_requests=sum(len(row.events) for row in Unfolded.objects.iterator()),
        abandoned_calls=Rollup.objects.filter(grain=DAY, cut=PLAN_CUT).aggregate(
            found=Sum("bill_unknown", default=0)
        )["found"],
        calls_in_flight=UpstreamAttempt.objects.count() - len(unknown),
        unknown_calls=unknown,
    )


def _count_spooled_bytes(spool: Path) -> int:
    read = dict(SpoolCursor.objects.values_list("file", "offset"))
    sizes = {path.name: path.stat().st_size for path in spool.glob(f"*{SPOOL_SUFFIX}")}
    return sum(max(0, size - read.get(name, 0)) for name, size in sizes.items())


# How far behind the ledger's tables are. Two small queries, run every few seconds beside the
# requests.


@dataclass(frozen=True, slots=True)
class LedgerBacklog:
    """How far the ledger's tables are behind.

    `rollup_lag_seconds`: age of the oldest request without a rollup, 0 if there is none;
    `unknown_calls`: calls never settled.
    """

    rollup_lag_seconds: float
    unknown_calls: int


def measure_backlog() -> LedgerBacklog:
    """Measure the backlog. Raises what the database raises."""
    note = Unfolded.objects.order_by("pk").first()
    lag = (
        time.time() - min(map(_id_to_seconds, note.events))
        if note is not None and note.events
        else 0.0
    )
    return LedgerBacklog(max(0.0, lag), find_unknown_outcomes().count())


def _id_to_seconds(event_id: UUID) -> float:
    """Return when a request began, in epoch seconds."""
    # The first 48 bits of its id are milliseconds (UUIDv7, RFC 9562 section 5.7).
    return (event_id.int >> 80) / 1000


MAX_HEARTBEAT_AGE = timedelta(seconds=60)  # a live worker touches its cursor every 15 seconds


def find_unknown_outcomes() -> QuerySet[UpstreamAttempt]:
    """Query upstream calls whose worker was killed before they were settled."""
    # The provider may have billed them.
    return UpstreamAttempt.objects.exclude(_build_in_flight_condition())


def _build_in_flight_condition() -> Q:
    """Build the condition for attempts in flight, which are those of live workers."""
    alive = SpoolCursor.objects.filter(
        worker=OuterRef("worker"), seen_at__gte=datetime.now(UTC) - MAX_HEARTBEAT_AGE
    )
    return Q(Exists(alive))
