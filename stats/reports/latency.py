"""How long requests took with a hit and without one, over time.

Of hours or days, whatever the key, route and model: no finer is kept.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.db.models import Q, Sum
from django.db.models.functions import Trunc

from stats.analysis.latency_buckets import percentiles
from stats.models.rollups import COUNTED, Tally
from stats.reports.filters import Asked
from stats.time_grains import DAY, HOUR, STEPS, floor

HITS: Final = ("exact", "semantic")


@dataclass(frozen=True, slots=True)
class Pace:
    """Milliseconds as (median, 99th percentile); None: no such request."""

    at: datetime
    hit: list[float] | None
    miss: list[float] | None


def grain_of(asked: Asked) -> str:
    return DAY if asked.granularity == DAY else HOUR


def paces(asked: Asked) -> list[Pace]:
    """Oldest first, quiet ones included. One query."""
    grain = grain_of(asked)
    at, found = floor(asked.start, grain), _found(asked, grain)
    whole = []
    while at < asked.end:
        whole.append(
            Pace(
                at, percentiles(found.get((at, True), {})), percentiles(found.get((at, False), {}))
            )
        )
        at += STEPS[grain]
    return whole


def _found(asked: Asked, grain: str) -> dict[tuple[datetime, bool], Counter[int]]:
    """Durations as counts by bucket, of each time and of hits or misses."""
    of = {
        name: value
        for name in ("tenant_id", "plan_id")
        if (value := getattr(asked, name)) is not None
    }
    rows = Tally.objects.filter(
        grain=grain,
        kind=COUNTED,
        what="whole",
        tier__in=(*HITS, "miss"),
        at__gte=floor(asked.start, grain),
        at__lt=asked.end,
        **of,
    )
    found: dict[tuple[datetime, bool], Counter[int]] = {}
    by = {"since": Trunc("at", grain, tzinfo=UTC), "hit": Q(tier__in=HITS)}
    for since, hit, word, number in (
        rows.annotate(**by).values_list(*by, "word").annotate(sum=Sum("number")).order_by()
    ):
        found.setdefault((since, hit), Counter())[int(word)] = number
    return found
