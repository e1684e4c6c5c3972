"""How long requests took with a hit and without one, over time. Of hours or days, whatever the key, route and model: no finer is kept."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.db.models import Sum
from django.db.models.functions import Trunc

from stats.asked import Asked
from stats.buckets import percentiles
from stats.models import Tally
from stats.rollups import COUNTED, DAY, HOUR
from stats.spans import STEPS, floor

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
        whole.append(Pace(at, percentiles(found.get((at, True), {})), percentiles(found.get((at, False), {}))))
        at += STEPS[grain]
    return whole


def _found(asked: Asked, grain: str) -> dict[tuple[datetime, bool], Counter[int]]:
    """Durations as counts by bucket, of each time and of hits or misses."""
    of = {name: value for name in ("tenant_id", "plan_id") if (value := getattr(asked, name)) is not None}
    rows = Tally.objects.filter(
        grain=grain, kind=COUNTED, what="whole", tier__in=(*HITS, "miss"), at__gte=floor(asked.start, grain), at__lt=asked.end, **of
    )
    found: dict[tuple[datetime, bool], Counter[int]] = {}
    sums = rows.annotate(since=Trunc("at", grain, tzinfo=UTC)).values_list("since", "tier", "word").annotate(sum=Sum("number"))
    for since, tier, word, number in sums.order_by():
        found.setdefault((since, tier in HITS), Counter())[int(word)] += number
    return found
