"""Changes of plans and prices, to be marked in charts.

From the admin's log, and from the plans themselves for changes made elsewhere.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Q
from django.urls import reverse

from plans.models import ModelPrice, Plan, Tenant
from stats.reports.filters import ReportFilter

MAX_ANNOTATIONS: Final = 40
SAME_CHANGE_TOLERANCE: Final = timedelta(
    seconds=5
)  # a log entry and the row's own time within this are one change


@dataclass(frozen=True, slots=True)
class Annotation:
    """A change to be marked.

    `name`: of the plan or price; `what`: what was changed; `url`: its history in the admin.
    """

    at: datetime
    kind: Literal["plan", "price"]
    name: str
    what: str
    url: str


def load_annotations(asked: ReportFilter, tenant: Tenant | None) -> list[Annotation]:
    """Load the changes of the period, oldest first; at most the newest MAX_ANNOTATIONS.

    Of one plan if the filter names one; never of other tenants' plans.
    """
    plans = (
        Plan.objects.all()
        if tenant is None
        else Plan.objects.filter(Q(tenant=tenant) | Q(tenant=None))
    )
    if asked.plan_id is not None:
        plans = plans.filter(pk=asked.plan_id)
    known = {str(plan.pk): plan for plan in plans}
    found = [*_load_logged_changes(asked, known), *_load_price_changes(asked)]
    told = {mark.url: mark.at for mark in found}  # two tenants may have a plan of one name
    for plan in known.values():
        page = _build_history_url("plan", plan.pk)
        last = told.get(page)
        # A change made elsewhere than in the admin has no log entry.
        if asked.start <= plan.updated_at < asked.end and not (
            last and abs(plan.updated_at - last) < SAME_CHANGE_TOLERANCE
        ):
            what = "made" if plan.version == 1 else f"changed to version {plan.version}"
            found.append(Annotation(plan.updated_at, "plan", plan.name, what, page))
    return sorted(found, key=lambda mark: mark.at)[-MAX_ANNOTATIONS:]


def _load_logged_changes(asked: ReportFilter, known: dict[str, Plan]) -> list[Annotation]:
    rows = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(Plan),
        object_id__in=known,
        action_time__gte=asked.start,
        action_time__lt=asked.end,
    ).order_by("-action_time")[:MAX_ANNOTATIONS]
    found = [(row, known[row.object_id or ""]) for row in reversed(rows)]
    return [
        Annotation(
            row.action_time,
            "plan",
            plan.name,
            _describe_log_entry(row),
            _build_history_url("plan", plan.pk),
        )
        for row, plan in found
    ]


def _load_price_changes(asked: ReportFilter) -> list[Annotation]:
    """Load prices that a person changed, not those seeded from the published list."""
    rows = ModelPrice.objects.filter(
        edited=True, updated_at__gte=asked.start, updated_at__lt=asked.end
    )
    return [
        Annotation(
            row.updated_at,
            "price",
            f"{row.provider} {row.model}",
            "changed",
            _build_history_url("modelprice", row.pk),
        )
        for row in rows.order_by("-updated_at")[:MAX_ANNOTATIONS]
    ]


def _describe_log_entry(row: LogEntry) -> str:
    return (
        "made"
        if row.action_flag == ADDITION
        else row.get_change_message().rstrip(".").lower() or "changed"
    )


def _build_history_url(model: str, pk: object) -> str:
    return reverse(f"admin:plans_{model}_history", args=[pk])
