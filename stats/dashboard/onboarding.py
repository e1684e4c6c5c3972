"""What somebody whose dashboard is empty should do next."""

from typing import Literal

from django.db.models import Q

from plans.models import Plan, Tenant, VirtualKey
from stats.models.rollups import PLAN_CUT, REFUSED_KIND, UNPLANNED_KIND, Rollup
from stats.time_grains import DAY

OnboardingStep = Literal["plan", "key", "request", "name", "period"]


def find_next_step(tenant: Tenant | None, *, any_request: bool) -> OnboardingStep:
    """The first that is missing: a plan, a key, a request, one that names a plan,
    one in this period and of these filters."""
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
    if not plans.exists():
        return "plan"
    if not keys.exists():
        return "key"
    return "name" if any_request else "request"
