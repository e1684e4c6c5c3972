"""How far the ledger is behind: spooled lines, requests not rolled up, calls in flight."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet, Sum

from stats.ledger.spool import SUFFIX
from stats.models.requests import SpoolCursor, UpstreamAttempt
from stats.models.rollups import PLAN, Rollup, Unfolded
from stats.time_grains import DAY

# What is on its way into the ledger, or never arrives: spooled lines, requests to fold in, calls in
# flight or of unknown outcome.


@dataclass(frozen=True, slots=True)
class Waiting:
    """`unknown`: calls whose worker was killed before they settled;
    `given_up`: how many settled without an answer."""

    spooled_bytes: int
    unfolded: int
    in_flight: int
    given_up: int
    unknown: tuple[UpstreamAttempt, ...]


def waiting(spool: Path) -> Waiting:
    """As of now; the files are those of this machine."""
    unknown = tuple(outcome_unknown().order_by("event_id"))
    return Waiting(
        spooled_bytes=_spooled(spool),
        unfolded=sum(len(row.events) for row in Unfolded.objects.iterator()),
        given_up=Rollup.objects.filter(grain=DAY, cut=PLAN).aggregate(
            found=Sum("bill_unknown", default=0)
        )["found"],
        in_flight=UpstreamAttempt.objects.count() - len(unknown),
        unknown=unknown,
    )


def _spooled(spool: Path) -> int:
    read = dict(SpoolCursor.objects.values_list("file", "offset"))
    sizes = {path.name: path.stat().st_size for path in spool.glob(f"*{SUFFIX}")}
    return sum(max(0, size - read.get(name, 0)) for name, size in sizes.items())


# What the ledger's tables say about how far behind it is. Two small queries, asked every some
# seconds beside the requests.


@dataclass(frozen=True, slots=True)
class Standing:
    """`fold_lag`: seconds since the oldest request without a roll-up began, 0 when all have theirs;
    `unknown`: calls never settled."""

    fold_lag: float
    unknown: int


def standing() -> Standing:
    """Raises what the database raises."""
    note = Unfolded.objects.order_by("pk").first()
    lag = time.time() - min(map(_seconds, note.events)) if note is not None and note.events else 0.0
    return Standing(max(0.0, lag), outcome_unknown().count())


def _seconds(event_id: UUID) -> float:
    """When a request began: the first 48 bits of its id are milliseconds
    (UUIDv7, RFC 9562 section 5.7)."""
    return (event_id.int >> 80) / 1000


LIVE_WITHIN = timedelta(seconds=60)  # a living worker touches its cursor every 15 seconds


def outcome_unknown() -> QuerySet[UpstreamAttempt]:
    """Upstream calls whose worker was killed before they settled:
    the provider may have billed them."""
    return UpstreamAttempt.objects.exclude(_in_flight())


def _in_flight() -> Q:
    """An attempt is in flight while its worker lives."""
    alive = SpoolCursor.objects.filter(
        worker=OuterRef("worker"), seen_at__gte=datetime.now(UTC) - LIVE_WITHIN
    )
    return Q(Exists(alive))
