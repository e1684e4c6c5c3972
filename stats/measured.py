"""The measured saving of the requests somebody wants to know about, out of `stats.held`."""

from typing import Any

from django.db.models import Q, QuerySet, Sum

from plans.models import Plan
from stats.held import Held
from stats.holdout import Measurement, Sums, measure
from stats.rollups import DAY
from stats.wanted import FULL_ONLY, Wanted, floor


def measured(wanted: Wanted) -> Measurement | None:
    """Of whole days (UTC). None where nothing was held out and no plan in question has a holdout, or where a key, route or model is asked
    for: the sides are compared by plan. One query, two where there is nothing."""
    if any(getattr(wanted, name) is not None for name in FULL_ONLY):
        return None
    sums = [
        Sums(**{name.removeprefix("sum_"): float(value) if name in {"sum_cost", "sum_would"} else value for name, value in row.items()})
        for row in _sums(wanted)
    ]
    return measure(sums) if sums or _held_out(wanted) else None


def _sums(wanted: Wanted) -> "QuerySet[Held, dict[str, Any]]":
    """The roll-up over its days, tenants and plans."""
    conditions = {
        "at__gte": wanted.start and floor(wanted.start, DAY),
        "at__lt": wanted.end,
        "tenant_id": wanted.tenant_id,
        "plan_id": wanted.plan_id,
    }
    rows = Held.objects.filter(**{name: value for name, value in conditions.items() if value is not None}).order_by()
    totals = {f"sum_{name}": Sum(name) for name in ("requests", "priced", "cost", "would")}
    return rows.values("share", "held", "replicate").annotate(**totals)


def _held_out(wanted: Wanted) -> bool:
    """Whether a plan in question holds anything out now."""
    plans = Plan.objects.filter(holdout__gt=0, mode=Plan.Mode.ACTIVE)
    if wanted.plan_id is not None:
        plans = plans.filter(pk=wanted.plan_id)
    if wanted.tenant_id is not None:
        plans = plans.filter(Q(tenant=wanted.tenant_id) | Q(tenant=None))
    return plans.exists()
