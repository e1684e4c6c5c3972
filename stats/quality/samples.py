"""Load samples from the ledger, by the id of their row.

The ledger is their only store, so they cannot be lost separately.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import F, QuerySet, Window
from django.db.models.functions import RowNumber

from stats.analysis.error_rate import WINDOW_DAYS, Sample, compute_window_size
from stats.models.requests import RequestEvent
from stats.request_id_times import build_time_conditions

PlanCohort = tuple[int, str]  # plan id, cohort
TenantCohort = tuple[int, str, int]  # plan id, cohort, tenant id
_SAMPLE_COLUMNS = ("event_id", "at", "score", "similarity", "sample")


def load_newest_samples(
    plan_id: int,
    basis: str,
    *,
    limit: float,
    verified: bool,
    since: Mapping[int, datetime | None] | None = None,
    tenant: int | None = None,
) -> dict[int, dict[str, Sample]]:
    """Load the samples that count for the budget `limit`, by tenant.

    The newest of the last days, none from before the tenant's entry in `since`. `tenant`: of this
    one only.
    """
    rows = query_samples().filter(
        plan_id=plan_id,
        basis=basis,
        **build_time_conditions(datetime.now(UTC) - timedelta(days=WINDOW_DAYS)),
    )
    if tenant is not None:
        rows = rows.filter(tenant_id=tenant)
    newest_first = Window(RowNumber(), partition_by=[F("tenant_id")], order_by=F("at").desc())
    rows = rows.annotate(place=newest_first).filter(place__lte=compute_window_size(limit))
    begun = {of: at.timestamp() for of, at in (since or {}).items() if at is not None}
    found: dict[int, dict[str, Sample]] = {}
    for of, *row in rows.values_list("tenant_id", *_SAMPLE_COLUMNS):
        name, sample = _parse_sample_row(row, verified)
        if sample.at >= begun.get(of, 0.0):
            found.setdefault(of, {})[name] = sample
    return found


def load_recent_samples(
    terms: Iterable[PlanCohort], *, verified: Iterable[PlanCohort], seconds: float
) -> dict[TenantCohort, dict[str, Sample]]:
    """Load the samples of the last `seconds` for many plans at once, in one query."""
    wanted, by_score = set(terms), set(verified)
    found: dict[TenantCohort, dict[str, Sample]] = {}
    rows = query_samples().filter(
        plan_id__in={plan for plan, _ in wanted},
        **build_time_conditions(datetime.now(UTC) - timedelta(seconds=seconds)),
    )
    for plan_id, basis, tenant, *row in rows.values_list(
        "plan_id", "basis", "tenant_id", *_SAMPLE_COLUMNS
    ):
        if (plan_id, basis) in wanted:
            name, sample = _parse_sample_row(row, (plan_id, basis) in by_score)
            found.setdefault((plan_id, basis, tenant), {})[name] = sample
    return found


def query_samples() -> QuerySet[RequestEvent]:
    return RequestEvent.objects.exclude(sample="").exclude(basis="").exclude(tenant_id=None)


def _parse_sample_row(row: Any, verified: bool) -> tuple[str, Sample]:
    event_id, at, score, similarity, verdict = row
    shown = score if verified else similarity
    return str(event_id), Sample(at.timestamp(), 0.0 if shown is None else shown, verdict)
