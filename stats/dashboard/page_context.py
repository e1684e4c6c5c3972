"""What the dashboard's pages share: the filters of their URLs, in words and as links."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render

from plans.api_errors import ApiError
from plans.models import Plan, Tenant, VirtualKey
from stats.dashboard.period_wording import PERIOD_NAMES, describe_period, format_moment
from stats.reports.filters import ReportFilter, parse_filter


def parse_page_filter(
    request: HttpRequest, tenant: Tenant | None, *, also: tuple[str, ...] = ()
) -> tuple[dict[str, str], ReportFilter]:
    """Parse the filters of the URL; this month if it names no period. Raises ApiError."""
    # Rejects a parameter given twice, which a dict does not show.
    parse_filter(request.GET, tenant=tenant, also=also)
    params = {name: str(value) for name, value in request.GET.items() if value}
    if not {"range", "from", "to"} & params.keys():
        params["range"] = "month"
    return params, parse_filter(params, tenant=tenant, also=also)


def render_bad_request(request: HttpRequest, error: ApiError) -> HttpResponseBase:
    return render(
        request,
        "dashboard/bad_request.html",
        {"problem": error.message, "ranges": PERIOD_NAMES},
        status=error.status,
    )


def build_page_context(
    params: dict[str, str], wanted: ReportFilter, tenant: Tenant | None
) -> dict[str, Any]:
    """Build the shared context: the filters, in words and as links."""
    plans = Plan.objects.select_related("tenant").order_by("name", "tenant__slug")
    plan = (
        Plan.objects.filter(pk=wanted.plan_id).select_related("tenant").first()
        if wanted.plan_id
        else None
    )
    return {
        "params": params,
        "asked": wanted,
        "query": urlencode(params),
        "ranges": PERIOD_NAMES,
        "period": describe_period(params, wanted),
        "start": format_moment(wanted.start),
        "end": format_moment(wanted.end, last=True),
        "last_day": wanted.end - timedelta(seconds=1),
        "plans": plans if tenant is None else plans.filter(Q(tenant=tenant) | Q(tenant=None)),
        "tenants": Tenant.objects.order_by("slug") if tenant is None else [],
        "tenant": tenant,
        "plan": plan,
        "plan_name": plan.name if plan else f"number {wanted.plan_id}",
        "key_name": VirtualKey.objects.filter(pk=wanted.key_id or 0)
        .values_list("name", flat=True)
        .first()
        or f"number {wanted.key_id}",
        "narrow": any(params.get(name) for name in ("plan", "key", "route", "model", "tenant")),
    }
