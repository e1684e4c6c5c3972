"""Single requests, newest first, in pages. Their texts are not stored, so none are shown."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, get_args
from uuid import UUID

from django.db.models import Q, QuerySet

from plans.api_errors import ApiError
from stats.events import Outcome, Tier
from stats.models.requests import RequestEvent
from stats.reports.filters import ReportFilter
from stats.reports.unknown_plans import query_unknown_plan_requests

PAGE_SIZE: Final = 50
LATEST_COUNT: Final = 10
# Requests that filters search for one page, so that rare matches do not make it slow.
MAX_SEARCHED_ROWS: Final = 5_000
LIST_PARAMETERS: Final = ("tier", "outcome", "before", "unknown_plan")
TIERS: Final = get_args(Tier)
OUTCOMES: Final = get_args(Outcome)


@dataclass(frozen=True, slots=True)
class RequestPage:
    """A page of requests.

    `older_cursor`: the `before` of the next page, "" on the last; `is_search_limited`: there may be
    more matches beyond the searched rows.
    """

    rows: list[RequestEvent]
    older_cursor: str = ""
    is_search_limited: bool = False


def list_latest_requests(asked: ReportFilter) -> list[RequestEvent]:
    return read_page(asked, tier="", outcome="", before=None, size=LATEST_COUNT).rows


def list_requests(asked: ReportFilter, params: Mapping[str, str]) -> RequestPage:
    """List requests by the URL's `tier`, `outcome`, `before` (an id) and `unknown_plan` (a name).

    Raises ApiError.
    """
    for name, accepted in (("tier", TIERS), ("outcome", OUTCOMES)):
        if params.get(name) and params[name] not in accepted:
            raise ApiError(f"Unknown {name}. Accepted: {', '.join(accepted)}.", param=name)
    unknown = params.get("unknown_plan", "")
    return read_page(
        asked,
        tier=params.get("tier", ""),
        outcome=params.get("outcome", ""),
        before=_find_cursor_row(params.get("before", ""), asked.tenant_id),
        among=query_unknown_plan_requests(asked, unknown) if unknown else None,
    )


def read_page(
    asked: ReportFilter,
    *,
    tier: str,
    outcome: str,
    before: RequestEvent | None,
    size: int = PAGE_SIZE,
    among: QuerySet[RequestEvent] | None = None,
) -> RequestPage:
    """Read a page along the index of the plan or tenant.

    Other filters search the next MAX_SEARCHED_ROWS requests. `among`: these requests instead of
    those with a plan.
    """
    rows = (
        replace(asked.rollup_query, key_id=None, route=None, model=None).query_events()
        if among is None
        else among
    )
    rows = rows.order_by("-at", "-event_id")
    if before is not None:
        rows = rows.filter(at__lte=before.at).filter(
            Q(at__lt=before.at) | Q(event_id__lt=before.event_id)
        )
    named = {
        "key_id": asked.key_id,
        "route": asked.route,
        "model": asked.model,
        "tier": tier or None,
        "outcome": outcome or None,
    }
    filters = {name: value for name, value in named.items() if value is not None}
    if not filters:
        found = list(rows[: size + 1])
        return RequestPage(found[:size], str(found[size - 1].event_id) if len(found) > size else "")
    nearest = rows.values("event_id")[:MAX_SEARCHED_ROWS]
    found = list(
        RequestEvent.objects.filter(event_id__in=nearest, **filters).order_by("-at", "-event_id")[
            : size + 1
        ]
    )
    if len(found) > size:
        return RequestPage(found[:size], str(found[size - 1].event_id))
    return _build_searched_page(rows, found)


def _build_searched_page(rows: QuerySet[RequestEvent], found: list[RequestEvent]) -> RequestPage:
    last = next(
        iter(rows.values_list("event_id", flat=True)[MAX_SEARCHED_ROWS - 1 : MAX_SEARCHED_ROWS]),
        None,
    )
    return RequestPage(found, str(last or ""), is_search_limited=last is not None)


def _find_cursor_row(text: str, tenant_id: int | None) -> RequestEvent | None:
    """Find the request to continue from, among the tenant's. Raises ApiError."""
    if not text:
        return None
    try:
        rows = RequestEvent.objects.filter(event_id=UUID(text))
        row = (rows if tenant_id is None else rows.filter(tenant_id=tenant_id)).first()
    except ValueError:
        row = None
    if row is None:
        raise ApiError(
            "`before` must be the id of a request, as the link to older ones has it.",
            param="before",
        )
    return row
