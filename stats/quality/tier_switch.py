"""Switch semantic tiers off for their error budget, and on again by a person.

One row per plan, cohort and tenant, read by every worker.
"""

from datetime import UTC, datetime

from django.db import transaction
from django.db.models import Q

from stats.models.requests import SemanticSwitch
from stats.quality.samples import TenantCohort


def load_tier_switches() -> dict[TenantCohort, SemanticSwitch]:
    """Load every switch that was ever used."""
    return {(row.plan_id, row.basis, row.tenant_id): row for row in SemanticSwitch.objects.all()}


def load_plan_switches(
    plan_id: int, basis: str, *, tenant: int | None = None
) -> dict[int, SemanticSwitch]:
    """Load the switches of a plan by tenant, or only that of `tenant`."""
    rows = SemanticSwitch.objects.filter(plan_id=plan_id, basis=basis)
    if tenant is not None:
        rows = rows.filter(tenant_id=tenant)
    return {row.tenant_id: row for row in rows}


def turn_tier_off(key: TenantCohort, *, at: float, reason: str, detail: str) -> bool:
    """Turn a tier off, on evidence of epoch second `at`; return whether it was on."""
    moment = datetime.fromtimestamp(at, UTC)
    plan_id, basis, tenant_id = key
    SemanticSwitch.objects.get_or_create(plan_id=plan_id, basis=basis, tenant_id=tenant_id)
    on = SemanticSwitch.objects.filter(
        # A person who turned it on after that knew better.
        Q(since=None) | Q(since__lt=moment),
        plan_id=plan_id,
        basis=basis,
        tenant_id=tenant_id,
        off_at=None,
    )
    return on.update(off_at=moment, reason=reason, detail=detail[:200], turned_on_by="") == 1


@transaction.atomic
def turn_tier_on(plan_id: int, *, by: str, tenant: int | None = None) -> int:
    """Turn the plan's tier on again for all cohorts, for one tenant or all.

    Returns the number of switches that were off.
    """
    off = SemanticSwitch.objects.filter(plan_id=plan_id, off_at__isnull=False)
    if tenant is not None:
        off = off.filter(tenant_id=tenant)
    # Samples are counted anew from now on.
    return off.update(
        off_at=None, since=datetime.now(UTC), reason="", detail="", turned_on_by=by[:200]
    )
