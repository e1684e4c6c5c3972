"""Queries of recorded requests; the API and the dashboard share them, so their numbers agree."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Count, F, Min, Q, Sum

from plans.models import Plan, Tenant
from stats.ledger.backlog import find_unknown_outcomes
from stats.models.rollups import COUNTED_KIND, PLAN_CUT, UNPLANNED_KIND, Rollup
from stats.reports.rollup_query import RollupQuery
from stats.time_grains import HOUR, floor_to_grain

TURNS_PERIOD = timedelta(days=7)
MAX_LATEST_REQUESTS = 10_000  # so that a busy plan is read in milliseconds


@dataclass(frozen=True, slots=True)
class ReasonCounts:
    """Why requests were not answered from a cache, and which tools failed: counts by word."""

    bypass_reasons: dict[str, int]
    miss_reasons: dict[str, int]
    hit_reasons: dict[str, int]
    failures: dict[str, int]


def build_plan_query(
    plan: Plan, owner: Tenant | None, *, start: datetime | None = None
) -> RollupQuery:
    """Build the query of a plan's requests; for a tenant, only its own."""
    return RollupQuery(start=start, plan_id=plan.pk, tenant_id=owner.pk if owner else None)


def count_later_turns(plan_id: int) -> tuple[int, int]:
    """Count the plan's latest requests, and those that had earlier user turns."""
    wanted = RollupQuery(start=datetime.now(UTC) - TURNS_PERIOD, plan_id=plan_id)
    latest = wanted.query_events().order_by("-at").values("turns")[:MAX_LATEST_REQUESTS]
    counted = latest.aggregate(requests=Count("turns"), later=Count("turns", filter=Q(turns__gt=1)))
    return counted["requests"], counted["later"]


def count_reasons(wanted: RollupQuery) -> ReasonCounts:
    """Count the reasons and failures of counted requests, in one query."""
    by_tier: dict[str, Counter[str]] = {
        tier: Counter() for tier in ("exact", "semantic", "miss", "bypass")
    }
    failures: Counter[str] = Counter()
    noted = wanted.query_count_rollups().filter(kind=COUNTED_KIND, what__in=("reason", "failure"))
    for what, tier, word, number in noted.values_list("what", "tier", "word").annotate(
        Sum("number")
    ):
        (failures if what == "failure" else by_tier[tier])[word] += number
    return ReasonCounts(
        dict(by_tier["bypass"]),
        dict(by_tier["miss"]),
        dict(by_tier["exact"] + by_tier["semantic"]),
        dict(failures),
    )


def count_unknown_outcomes(wanted: RollupQuery) -> int:
    """Count the calls of unknown outcome within the period, by tenant and plan."""
    # Attempts have no key and no route.
    conditions = {
        "at__gte": wanted.start,
        "at__lt": wanted.end,
        "tenant_id": wanted.tenant_id,
        "plan_id": wanted.plan_id,
    }
    return (
        find_unknown_outcomes()
        .filter(**{name: value for name, value in conditions.items() if value is not None})
        .count()
    )


def count_unpriced_models(wanted: RollupQuery) -> dict[str, int]:
    """Count the requests of models without a price, which are in no sum; busiest first."""
    rows = (
        wanted.query_rollups(by=("model",))
        .filter(kind=COUNTED_KIND)
        .values_list("model")
        .annotate(missing=Sum(F("requests") - F("priced") - F("bill_unknown")))
    )
    return dict(rows.filter(missing__gt=0).order_by("-missing", "model"))


def find_first_day(wanted: RollupQuery) -> datetime | None:
    """Return the day of the first of these requests."""
    first: datetime | None = wanted.query_rollups().aggregate(first=Min("at"))["first"]
    return first


def count_unplanned_requests(
    start: datetime, *, end: datetime | None = None, tenant_id: int | None = None
) -> int:
    """Count the requests that finished well and named no plan, in whole hours."""
    named = {"at__lt": end, "tenant_id": tenant_id}
    of = {name: value for name, value in named.items() if value is not None}
    rows = Rollup.objects.filter(
        grain=HOUR, cut=PLAN_CUT, kind=UNPLANNED_KIND, at__gte=floor_to_grain(start, HOUR), **of
    )
    return int(rows.aggregate(found=Sum("requests", default=0))["found"])
