"""Plans that requests asked for and that do not exist:
such requests are answered and paid for whole, and nobody is told."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from django.db.models import Q, QuerySet

from plans.models import Plan, Tenant
from stats.models.requests import RequestEvent
from stats.reports.filters import ReportFilter
from stats.request_ids import build_time_conditions

# Looked at, the newest: a client that is never right does not make the page slow.
MAX_SEARCHED_REQUESTS: Final = 10_000
MAX_SHOWN_NAMES: Final = 5
MIN_NAME_SIMILARITY: Final = (
    0.7  # difflib's ratio of two names, from which on one may be meant for the other
)


@dataclass(frozen=True, slots=True)
class UnknownPlan:
    """A name that was asked for, by how many of the newest requests,
    and the plan it may be meant for, "" where none is near."""

    name: str
    requests: int
    nearest: str


def find_unknown_plans(asked: ReportFilter, tenant: Tenant | None) -> list[UnknownPlan]:
    """The names asked for most, most first.

    A tenant's people are told of their own requests and of plans they can use.
    """
    names = Counter(
        query_unknown_plan_requests(asked)
        .order_by("-at")
        .values_list("plan", flat=True)[:MAX_SEARCHED_REQUESTS]
    )
    if not names:
        return []
    of = tenant.pk if tenant is not None else asked.tenant_id
    plans = Plan.objects.all() if of is None else Plan.objects.filter(Q(tenant=of) | Q(tenant=None))
    known = list(plans.values_list("name", flat=True))
    return [
        UnknownPlan(name, number, _find_nearest(name, known))
        for name, number in names.most_common(MAX_SHOWN_NAMES)
    ]


def query_unknown_plan_requests(asked: ReportFilter, name: str = "") -> QuerySet[RequestEvent]:
    """The requests of the period that named a plan which does not exist:
    any, or the one of that name."""
    named = {
        "tenant_id": asked.tenant_id,
        "key_id": asked.key_id,
        "route": asked.route,
        "model": asked.model,
        "plan": name or None,
    }
    rows = RequestEvent.objects.filter(
        plan_id=None, reason="unknown-plan", **build_time_conditions(asked.start, asked.end)
    ).exclude(plan="")
    return rows.filter(**{column: value for column, value in named.items() if value is not None})


def _find_nearest(name: str, known: Iterable[str]) -> str:
    folded = {each.casefold(): each for each in known}
    found = get_close_matches(name.casefold(), folded, n=1, cutoff=MIN_NAME_SIMILARITY)
    return folded[found[0]] if found else ""
