"""The dashboard's pages."""

import uuid
from typing import cast

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from plans.access import get_user_tenant, list_user_plans
from plans.api_errors import ApiError
from plans.models import Plan, Tenant
from plans.untrusted_text.whole_numbers import parse_positive
from stats.dashboard import request_detail
from stats.dashboard.freshness import measure_freshness
from stats.dashboard.overview import build_overview
from stats.dashboard.page_context import build_page_context, parse_page_filter, render_bad_request
from stats.dashboard.permissions import require_dashboard_access
from stats.models.requests import RequestEvent
from stats.quality import tier_switch
from stats.reports.request_pages import LIST_PARAMETERS, list_requests

# /dashboard/: savings under the filters of its URL. Staff only; a tenant's users see their own
# numbers only.


@require_dashboard_access
def dashboard_page(request: HttpRequest) -> HttpResponseBase:
    """Show the dashboard; 400 or 404 for an invalid filter."""
    tenant = get_user_tenant(request.user)
    try:
        params, asked = parse_page_filter(request, tenant)
        page = build_overview(params, asked, tenant)
    except ApiError as error:
        return render_bad_request(request, error)
    return render(request, "dashboard/dashboard.html", page)


@staff_member_required
@permission_required("plans.change_plan", raise_exception=True)
@require_POST
def turn_semantic_tier_on(request: HttpRequest, plan: int) -> HttpResponseBase:
    """Turn a plan's semantic tier on again, for one tenant if the form names it."""
    row = list_user_plans(request.user).filter(pk=plan).first()
    if row is None:
        raise Http404
    user = cast(User, request.user)
    number = request.POST.get("tenant", "")
    tenant_id = parse_positive(number)
    tenant = Tenant.objects.filter(pk=tenant_id).first() if tenant_id else None
    if number and tenant is None:
        raise Http404
    if tier_switch.turn_tier_on(
        row.pk, by=user.get_username(), tenant=tenant.pk if tenant else None
    ):
        of = f" for {tenant}" if tenant and row.tenant_id is None else ""
        # This shows in the plan's history in the admin.
        LogEntry.objects.log_actions(
            user.pk, [row], CHANGE, f"Turned the semantic tier on again{of}.", single_object=True
        )
    return redirect("dashboard")


# /dashboard/requests/ and /dashboard/requests/{id}/: single requests, and one request's decision
# record.


@require_dashboard_access
def request_list(request: HttpRequest) -> HttpResponseBase:
    """Show a page of requests under the filters of the URL; 400 or 404 for an invalid filter."""
    tenant = get_user_tenant(request.user)
    try:
        params, asked = parse_page_filter(request, tenant, also=LIST_PARAMETERS)
        page = {
            "page": list_requests(asked, params),
            "tiers": request_detail.TIER_DESCRIPTIONS,
            "outcomes": request_detail.OUTCOME_DESCRIPTIONS,
            "fresh": measure_freshness(tenant),
        }
    except ApiError as error:
        return render_bad_request(request, error)
    return render(
        request, "dashboard/requests.html", build_page_context(params, asked, tenant) | page
    )


@require_dashboard_access
def request_page(request: HttpRequest, event: uuid.UUID) -> HttpResponseBase:
    """Show one request; 404 for another tenant's."""
    tenant = get_user_tenant(request.user)
    row = RequestEvent.objects.filter(event_id=event).first()
    if row is None or (tenant is not None and row.tenant_id != tenant.pk):
        raise Http404
    page = {
        "row": row,
        "sections": request_detail.build_record_sections(row),
        "headline": request_detail.TIER_DESCRIPTIONS.get(row.tier, ""),
        "saved": request_detail.compute_savings(row),
        "plan": list_user_plans(request.user).filter(pk=row.plan_id).first()
        if row.plan_id
        else None,
        "plan_now": Plan.objects.filter(pk=row.plan_id).values_list("version", flat=True).first()
        if row.plan_id
        else None,
        "fresh": measure_freshness(tenant),
    }
    return render(request, "dashboard/request.html", page)
