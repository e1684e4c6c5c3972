"""Resolve the tenant, plan and key that a filter names, if the user may see them.

Deleted ones are found by their rollups.
"""

from plans.api_errors import ApiError, KeyNotFound, PlanNotFound, TenantNotFound
from plans.models import Plan, Tenant, VirtualKey
from plans.untrusted_text.whole_numbers import parse_positive
from stats.models.rollups import FULL_CUT, PLAN_CUT, Rollup
from stats.time_grains import DAY

MAX_NAME_LENGTHS = {"route": 128, "model": 200}


def resolve_tenant_id(slug: str, own: Tenant | None) -> int | None:
    """Return the id of the tenant with this slug, or of the user's own tenant.

    Raises TenantNotFound, also for a tenant that is not the user's own.
    """
    if own is not None:
        if slug not in {"", own.slug}:
            raise TenantNotFound("No such tenant.", param="tenant")
        return own.pk
    if not slug:
        return None
    found = _is_storable(slug, 64) and (_find_tenant_id(slug) or _find_deleted_tenant_id(slug))
    if not found:
        raise TenantNotFound("No such tenant.", param="tenant")
    return found


def resolve_plan_id(text: str, own: Tenant | None) -> int | None:
    """Return the id of a visible plan. Raises ApiError."""
    number = _parse_number(text, "plan")
    if number is None:
        return None
    plan = Plan.objects.filter(pk=number).first()
    # The tenant's own, the platform's, or a deleted one that had requests of the tenant.
    known = plan is not None and (own is None or plan.tenant_id in {None, own.pk})
    if not known and not _has_rollups(own, cut=PLAN_CUT, plan_id=number):
        raise PlanNotFound("No such plan.", param="plan")
    return number


def resolve_key_id(text: str, own: Tenant | None) -> int | None:
    """Return the id of a visible virtual key. Raises ApiError."""
    number = _parse_number(text, "key")
    if number is None:
        return None
    keys = VirtualKey.objects.filter(pk=number)
    known = (keys if own is None else keys.filter(tenant=own)).exists()
    if not known and not _has_rollups(own, cut=FULL_CUT, key_id=number):
        raise KeyNotFound("No such key.", param="key")
    return number


def parse_name(value: str, name: str) -> str | None:
    """Return the name of a route or model, known or not. Raises ApiError if no row can hold it."""
    if not _is_storable(value, MAX_NAME_LENGTHS[name]):
        raise ApiError(
            f"`{name}` must be a name of at most {MAX_NAME_LENGTHS[name]} printable characters.",
            param=name,
        )
    return value or None


def _parse_number(value: str, name: str) -> int | None:
    if not value:
        return None
    number = parse_positive(value)
    if number is None:
        raise ApiError(
            f"`{name}` must be the number of a {name}, such as 12, as group_by={name} lists them.",
            param=name,
        )
    return number


def _is_storable(value: str, longest: int) -> bool:
    """Whether PostgreSQL can store the text: no NUL, no lone surrogates."""
    return value.isprintable() and len(value) <= longest


def _find_tenant_id(slug: str) -> int | None:
    return Tenant.objects.filter(slug=slug).values_list("pk", flat=True).first()


def _find_deleted_tenant_id(slug: str) -> int | None:
    """Find a deleted tenant by the name in its rollups."""
    # A reused slug means its present owner only, which the caller looked up first.
    rows = Rollup.objects.filter(grain=DAY, cut=PLAN_CUT, tenant=slug, tenant_id__gt=0)
    return rows.values_list("tenant_id", flat=True).first()


def _has_rollups(own: Tenant | None, **what: object) -> bool:
    rows = Rollup.objects.filter(grain=DAY, **what)
    return (rows if own is None else rows.filter(tenant_id=own.pk)).exists()
