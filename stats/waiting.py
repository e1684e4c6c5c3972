"""What is on its way into the ledger, or never arrives: spooled lines, requests to fold in, calls in flight or of unknown outcome."""

from dataclasses import dataclass
from pathlib import Path

from django.db.models import Sum

from stats import selectors
from stats.models import Rollup, SpoolCursor, Unfolded, UpstreamAttempt
from stats.rollups import DAY, PLAN
from stats.spool import SUFFIX


@dataclass(frozen=True, slots=True)
class Waiting:
    """`unknown`: calls whose worker was killed before they settled; `given_up`: how many settled without an answer."""

    spooled_bytes: int
    unfolded: int
    in_flight: int
    given_up: int
    unknown: tuple[UpstreamAttempt, ...]


def waiting(spool: Path) -> Waiting:
    """As of now; the files are those of this machine."""
    unknown = tuple(selectors.outcome_unknown().order_by("event_id"))
    return Waiting(
        spooled_bytes=_spooled(spool),
        unfolded=sum(len(row.events) for row in Unfolded.objects.iterator()),
        given_up=Rollup.objects.filter(grain=DAY, cut=PLAN).aggregate(found=Sum("bill_unknown", default=0))["found"],
        in_flight=UpstreamAttempt.objects.count() - len(unknown),
        unknown=unknown,
    )


def _spooled(spool: Path) -> int:
    read = dict(SpoolCursor.objects.values_list("file", "offset"))
    sizes = {path.name: path.stat().st_size for path in spool.glob(f"*{SUFFIX}")}
    return sum(max(0, size - read.get(name, 0)) for name, size in sizes.items())
