"""/dashboard/: what was saved, under the filters of its URL. Staff only, a tenant's people their own numbers only."""

from typing import cast

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from plans.errors import Refusal
from plans.models import Tenant
from plans.people import plans_of, tenant_of
from stats import switches
from stats.frame import read, refused
from stats.overview import overview
from stats.viewers import for_viewers


@for_viewers
def dashboard(request: HttpRequest) -> HttpResponseBase:
    """The page; 400 with what is accepted, or 404, for what cannot be asked."""
    tenant = tenant_of(request.user)
    try:
        params, asked = read(request, tenant)
        page = overview(params, asked, tenant)
    except Refusal as error:
        return refused(request, error)
    return render(request, "dashboard/dashboard.html", page)


@staff_member_required
@permission_required("plans.change_plan", raise_exception=True)
@require_POST
def semantic_tier_on(request: HttpRequest, plan: int) -> HttpResponseBase:
    """The dashboard's button: turn a plan's semantic tier on again, for one tenant where the form names it. It stands in the plan's history
    in the admin."""
    row = plans_of(request.user).filter(pk=plan).first()
    if row is None:
        raise Http404
    user = cast(User, request.user)
    number = request.POST.get("tenant", "")
    tenant = Tenant.objects.filter(pk=int(number)).first() if number.isascii() and number.isdigit() and len(number) < 19 else None
    if number and tenant is None:
        raise Http404
    if switches.turn_on(row.pk, by=user.get_username(), tenant=tenant.pk if tenant else None):
        of = f" for {tenant}" if tenant and row.tenant_id is None else ""
        LogEntry.objects.log_actions(user.pk, [row], CHANGE, f"Turned the semantic tier on again{of}.", single_object=True)
    return redirect("dashboard")
