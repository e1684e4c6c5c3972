"""Find plan names that requests used and that do not exist.

Such requests are answered and paid for in full, without any error.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from django.db.models import Q, QuerySet

from plans.models import Plan, Tenant
from stats.events import UNKNOWN_PLAN_REASON
from stats.models.requests import RequestEvent
from stats.reports.filters import ReportFilter
from stats.request_id_times import build_time_conditions

# The newest are searched, so that a client that always errs does not make the page slow.
MAX_SEARCHED_REQUESTS: Final = 10_000
MAX_SHOWN_NAMES: Final = 5
MIN_NAME_SIMILARITY: Final = (
    0.7  # difflib's ratio of two names, from which on one may be meant for the other
)


@dataclass(frozen=True, slots=True)
class UnknownPlan:
    """A name that does not exist, the number of newest requests with it, and the likely plan.

    `nearest`: "" if no plan's name is similar.
    """

    name: str
    requests: int
    nearest: str


def find_unknown_plans(asked: ReportFilter, tenant: Tenant | None) -> list[UnknownPlan]:
    """Find the most frequent unknown names, most frequent first.

    A tenant's users see names of their own requests and of plans they can use.
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
    """Query the period's requests that named an unknown plan: any, or this name."""
    named = {
        "tenant_id": asked.tenant_id,
        "key_id": asked.key_id,
        "route": asked.route,
        "model": asked.model,
        "plan": name or None,
    }
    rows = RequestEvent.objects.filter(
        plan_id=None, reason=UNKNOWN_PLAN_REASON, **build_time_conditions(asked.start, asked.end)
    ).exclude(plan="")
    return rows.filter(**{column: value for column, value in named.items() if value is not None})


def _find_nearest(name: str, known: Iterable[str]) -> str:
    folded = {each.casefold(): each for each in known}
    found = get_close_matches(name.casefold(), folded, n=1, cutoff=MIN_NAME_SIMILARITY)
    return folded[found[0]] if found else ""
