"""Durations of requests with and without a hit, over time.

By hours or days, for all keys, routes and models: nothing finer is stored.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.db.models import Q, Sum
from django.db.models.functions import Trunc

from stats.analysis.latency_buckets import compute_percentiles
from stats.models.rollups import COUNTED_KIND, Tally
from stats.reports.filters import ReportFilter
from stats.time_grains import DAY, GRAIN_LENGTHS, HOUR, floor_to_grain

HIT_TIERS: Final = ("exact", "semantic")


@dataclass(frozen=True, slots=True)
class LatencyPoint:
    """Milliseconds as (median, 99th percentile); None without such requests."""

    at: datetime
    hit_ms: list[float] | None
    miss_ms: list[float] | None


def choose_grain(asked: ReportFilter) -> str:
    return DAY if asked.granularity == DAY else HOUR


def list_latency_points(asked: ReportFilter) -> list[LatencyPoint]:
    """List the points, oldest first, empty ones included. One query."""
    grain = choose_grain(asked)
    at, found = floor_to_grain(asked.start, grain), _count_durations(asked, grain)
    whole = []
    # Points without requests are included, with None.
    while at < asked.end:
        whole.append(
            LatencyPoint(
                at,
                compute_percentiles(found.get((at, True), {})),
                compute_percentiles(found.get((at, False), {})),
            )
        )
        at += GRAIN_LENGTHS[grain]
    return whole


def _count_durations(asked: ReportFilter, grain: str) -> dict[tuple[datetime, bool], Counter[int]]:
    """Count durations by bucket, per point and per hit or miss."""
    of = {
        name: value
        for name in ("tenant_id", "plan_id")
        if (value := getattr(asked, name)) is not None
    }
    rows = Tally.objects.filter(
        grain=grain,
        kind=COUNTED_KIND,
        what="whole",
        tier__in=(*HIT_TIERS, "miss"),
        at__gte=floor_to_grain(asked.start, grain),
        at__lt=asked.end,
        **of,
    )
    found: dict[tuple[datetime, bool], Counter[int]] = {}
    by = {"since": Trunc("at", grain, tzinfo=UTC), "hit": Q(tier__in=HIT_TIERS)}
    for since, hit, word, number in (
        rows.annotate(**by).values_list(*by, "word").annotate(sum=Sum("number")).order_by()
    ):
        found.setdefault((since, hit), Counter())[int(word)] = number
    return found
