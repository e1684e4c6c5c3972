"""When a plan or a price changed, to be marked in charts:
what the admin's log says, and the plans themselves of changes made elsewhere."""

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
)  # the log's line of a change that the row itself tells of


@dataclass(frozen=True, slots=True)
class Annotation:
    """`name`: of the plan or the price; `what`: what was done with it;
    `url`: its history in the admin."""

    at: datetime
    kind: Literal["plan", "price"]
    name: str
    what: str
    url: str


def load_annotations(asked: ReportFilter, tenant: Tenant | None) -> list[Annotation]:
    """Of the period, oldest first, at most the newest `MOST`; of one plan where one is asked for.

    Others' plans are nobody's business.
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
    told = {(mark.kind, mark.name): mark.at for mark in found}
    for plan in known.values():
        last = told.get(("plan", plan.name))
        if asked.start <= plan.updated_at < asked.end and not (
            last and abs(plan.updated_at - last) < SAME_CHANGE_TOLERANCE
        ):
            what = "made" if plan.version == 1 else f"changed to version {plan.version}"
            found.append(
                Annotation(
                    plan.updated_at, "plan", plan.name, what, _build_history_url("plan", plan.pk)
                )
            )
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
    """Prices that a person changed; the list they are seeded from is no event."""
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
