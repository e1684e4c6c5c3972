"""Load a plan's labelled pairs from the ledger: score, verdict and who asked. No text is needed.

A pair is a sample, compared by rules or a judge model. A client's report makes the sample of its
request wrong; there is no report that makes one right.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Literal

from django.db.models import Max

from plans.models import Plan
from stats.analysis.error_rate import MAX_WINDOW_SAMPLES
from stats.analysis.recalibration import LabelledPair
from stats.models.requests import RequestEvent, SemanticSwitch
from stats.quality.samples import query_samples
from stats.reports.selectors import build_plan_query
from stats.request_id_times import build_time_conditions

SourceColumn = Literal["tenant_id", "key_id"]


def find_sources(plan: Plan, *, start: datetime) -> tuple[SourceColumn, int]:
    """Return who the sources of the plan's pairs are, tenants or keys, and how many use it.

    Tenants, if several do: they must not move each other's threshold. Otherwise virtual keys.
    """
    rows = build_plan_query(plan, None, start=start).query_rollups(by=("key_id",))
    users = set(rows.values_list("tenant_id", "key_id").distinct())
    tenants = {tenant for tenant, _ in users}
    return ("tenant_id", len(tenants)) if len(tenants) > 1 else ("key_id", len(users))


def load_labelled_pairs(
    plan: Plan, cohorts: Collection[str], *, start: datetime, source: SourceColumn
) -> list[LabelledPair]:
    """Load the newest pairs since `start`, at most `MAX_WINDOW_SAMPLES`.

    Without those from before a person turned their tenant's semantic tier on again.
    """
    number = "score" if plan.match == "verified" else "similarity"
    rows = (
        query_samples()
        .filter(plan_id=plan.pk, basis__in=cohorts, **build_time_conditions(start))
        .exclude(**{number: None})
        .order_by("-at")
        .values_list("at", number, "sample", source, "tenant_id", "note")
    )
    reported, begun = _load_reported_ids(plan, start), _load_restarts(plan, cohorts)
    return [
        LabelledPair(
            at.timestamp(),
            score,
            "wrong" if note.removeprefix("sample of ") in reported else verdict,
            of or 0,
        )
        for at, score, verdict, of, tenant, note in rows[:MAX_WINDOW_SAMPLES]
        if tenant not in begun or at >= begun[tenant]
    ]


def _load_reported_ids(plan: Plan, start: datetime) -> set[str]:
    rows = RequestEvent.objects.filter(
        plan_id=plan.pk, wrong=True, **build_time_conditions(start)
    ).values_list("event_id", flat=True)
    return {str(each) for each in rows}


def _load_restarts(plan: Plan, cohorts: Collection[str]) -> dict[int, datetime]:
    """Return since when the samples of a tenant count, for those who are not from the start."""
    rows = SemanticSwitch.objects.filter(
        plan_id=plan.pk, basis__in=cohorts, since__isnull=False
    ).order_by()
    return dict(rows.values_list("tenant_id").annotate(Max("since")))
