"""The next step for a user whose dashboard is empty."""

from typing import Literal

from django.db.models import Q

from plans.capabilities import get_capabilities
from plans.models import Plan, Tenant, VirtualKey
from stats.models.rollups import PLAN_CUT, REFUSED_KIND, UNPLANNED_KIND, Rollup
from stats.time_grains import DAY

OnboardingStep = Literal["route", "plan", "key", "request", "name", "period"]


def find_next_step(tenant: Tenant | None, *, any_request: bool) -> OnboardingStep:
    """Return the first missing step: a route, a plan, a key, a request, a request with a plan.

    "period" if there are some, but not in this period and under these filters.
    """
    plans = (
        Plan.objects.all()
        if tenant is None
        else Plan.objects.filter(Q(tenant=tenant) | Q(tenant=None))
    )
    keys = VirtualKey.objects.filter(revoked_at=None)
    planned = Rollup.objects.filter(grain=DAY, cut=PLAN_CUT, plan_id__gt=0).exclude(
        kind__in=(UNPLANNED_KIND, REFUSED_KIND)
    )
    if tenant is not None:
        keys, planned = keys.filter(tenant=tenant), planned.filter(tenant_id=tenant.pk)
    if planned.exists():
        return "period"
    # A tenant's people cannot make one.
    if tenant is None and not get_capabilities().list_routes():
        return "route"
    if not plans.exists():
        return "plan"
    if not keys.exists():
        return "key"
    return "name" if any_request else "request"
