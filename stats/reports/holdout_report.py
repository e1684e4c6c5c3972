"""The measured savings of selected requests, from the sums of `stats.models.holdout_sums`."""

from typing import Any, Final

from django.db.models import Q, QuerySet, Sum

from plans.models import Plan
from stats.analysis.holdout_estimate import GroupSums, HoldoutMeasurement, measure_savings
from stats.models.holdout_sums import Held
from stats.reports.rollup_query import FULL_CUT_COLUMNS, RollupQuery
from stats.time_grains import DAY, floor_to_grain

_SIDE_COLUMNS: Final = ("share", "held", "replicate")
_TOTAL_EXPRESSIONS: Final = {
    f"sum_{name}": Sum(name) for name in ("requests", "priced", "cost", "would", "size")
}


def measure_holdout(wanted: RollupQuery) -> HoldoutMeasurement | None:
    """Measure the savings of whole days (UTC), in one query, or two if there are no sums.

    None if nothing was held out and no selected plan has a holdout, or if the filter names a key,
    route or model.
    """
    # The arms are compared by plan.
    if any(getattr(wanted, name) is not None for name in FULL_CUT_COLUMNS):
        return None
    rows: list[dict[str, Any]] = list(
        _filter_days(wanted).values(*_SIDE_COLUMNS).annotate(**_TOTAL_EXPRESSIONS)
    )
    sums = [
        GroupSums(
            **{name: row[name] for name in _SIDE_COLUMNS},
            requests=row["sum_requests"],
            priced=row["sum_priced"],
            cost=float(row["sum_cost"]),
            would=float(row["sum_would"]),
            size=row["sum_size"],
        )
        for row in rows
    ]
    return measure_savings(sums) if sums or _has_holdout_plan(wanted) else None


def _filter_days(wanted: RollupQuery) -> QuerySet[Held]:
    conditions = {
        "at__gte": wanted.start and floor_to_grain(wanted.start, DAY),
        "at__lt": wanted.end,
        "tenant_id": wanted.tenant_id,
        "plan_id": wanted.plan_id,
    }
    return Held.objects.filter(
        **{name: value for name, value in conditions.items() if value is not None}
    ).order_by()


def _has_holdout_plan(wanted: RollupQuery) -> bool:
    """Whether a selected plan has a holdout now."""
    plans = Plan.objects.filter(holdout__gt=0, mode="active")
    if wanted.plan_id is not None:
        plans = plans.filter(pk=wanted.plan_id)
    if wanted.tenant_id is not None:
        plans = plans.filter(Q(tenant=wanted.tenant_id) | Q(tenant=None))
    return plans.exists()
