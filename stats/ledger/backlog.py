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

# What is on its way into the ledger, or never arrives: spooled lines, requests to fold in, calls in
# flight or of unknown outcome.


@dataclass(frozen=True, slots=True)
class BacklogDetails:
    """`unknown`: calls whose worker was killed before they settled;
    `given_up`: how many settled without an answer."""

    spooled_bytes: int
    pending_requests: int
    calls_in_flight: int
    abandoned_calls: int
    unknown_calls: tuple[UpstreamAttempt, ...]


def inspect_backlog(spool: Path) -> BacklogDetails:
    """As of now; the files are those of this machine."""
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


# What the ledger's tables say about how far behind it is. Two small queries, asked every some
# seconds beside the requests.


@dataclass(frozen=True, slots=True)
class LedgerBacklog:
    """`fold_lag`: seconds since the oldest request without a roll-up began, 0 when all have theirs;
    `unknown`: calls never settled."""

    rollup_lag_seconds: float
    unknown_calls: int


def measure_backlog() -> LedgerBacklog:
    """Raises what the database raises."""
    note = Unfolded.objects.order_by("pk").first()
    lag = (
        time.time() - min(map(_id_to_seconds, note.events))
        if note is not None and note.events
        else 0.0
    )
    return LedgerBacklog(max(0.0, lag), find_unknown_outcomes().count())


def _id_to_seconds(event_id: UUID) -> float:
    """When a request began: the first 48 bits of its id are milliseconds
    (UUIDv7, RFC 9562 section 5.7)."""
    return (event_id.int >> 80) / 1000


MAX_HEARTBEAT_AGE = timedelta(seconds=60)  # a living worker touches its cursor every 15 seconds


def find_unknown_outcomes() -> QuerySet[UpstreamAttempt]:
    """Upstream calls whose worker was killed before they settled:
    the provider may have billed them."""
    return UpstreamAttempt.objects.exclude(_build_in_flight_condition())


def _build_in_flight_condition() -> Q:
    """An attempt is in flight while its worker lives."""
    alive = SpoolCursor.objects.filter(
        worker=OuterRef("worker"), seen_at__gte=datetime.now(UTC) - MAX_HEARTBEAT_AGE
    )
    return Q(Exists(alive))
