"""/dashboard/requests/ and /dashboard/requests/{id}/: single requests, and one request's decision record."""

import uuid

from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import render

from plans.errors import Refusal
from plans.models import Plan
from plans.people import plans_of, tenant_of
from stats import request_words
from stats.frame import frame, read, refused
from stats.freshness import freshness
from stats.models import RequestEvent
from stats.request_list import NAMES, listed
from stats.viewers import for_viewers


@for_viewers
def request_list(request: HttpRequest) -> HttpResponseBase:
    """A page of requests under the filters of the URL; 400 with what is accepted, or 404, for what cannot be asked."""
    tenant = tenant_of(request.user)
    try:
        params, asked = read(request, tenant, also=NAMES)
        page = {"page": listed(asked, params), "tiers": request_words.TIERS, "outcomes": request_words.OUTCOMES, "fresh": freshness(tenant)}
    except Refusal as error:
        return refused(request, error)
    return render(request, "dashboard/requests.html", frame(params, asked, tenant) | page)


@for_viewers
def request_page(request: HttpRequest, event: uuid.UUID) -> HttpResponseBase:
    """Another tenant's does not exist."""
    tenant = tenant_of(request.user)
    row = RequestEvent.objects.filter(event_id=event).first()
    if row is None or (tenant is not None and row.tenant_id != tenant.pk):
        raise Http404
    page = {
        "row": row,
        "sections": request_words.facts(row),
        "headline": request_words.TIERS.get(row.tier, ""),
        "saved": request_words.saved(row),
        "plan": plans_of(request.user).filter(pk=row.plan_id).first() if row.plan_id else None,
        "plan_now": Plan.objects.filter(pk=row.plan_id).values_list("version", flat=True).first() if row.plan_id else None,
        "fresh": freshness(tenant),
    }
    return render(request, "dashboard/request.html", page)
