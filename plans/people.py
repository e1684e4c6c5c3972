"""Whose numbers and plans a person may see: everybody's, or one tenant's. What they may do with them, Django's permissions say
(`plans.groups`), and of those a tenant's person has none beyond `OF_TENANTS`, whoever granted it."""

from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet

from plans.models import Membership, Plan, Tenant

PLATFORM_ADMIN: Final = "Platform admin"
TENANT_ADMIN: Final = "Tenant admin"
VIEWER: Final = "Viewer"
GROUPS: Final = (PLATFORM_ADMIN, TENANT_ADMIN, VIEWER)
# What a person of a tenant may ever hold: all of it is about rows of their own, or for everybody to read.
OF_TENANTS: Final = frozenset(
    (
        *("plans.view_plan", "plans.add_plan", "plans.change_plan", "plans.delete_plan"),
        *("plans.view_virtualkey", "plans.add_virtualkey", "plans.change_virtualkey", "plans.delete_virtualkey"),
        *("plans.view_adminkey", "plans.add_adminkey", "plans.change_adminkey", "plans.delete_adminkey"),
        *("plans.view_tenant", "plans.view_modelprice"),
        *("plans.view_historicalplan", "plans.change_historicalplan"),
        *("stats.view_rollup", "stats.view_requestevent", "stats.view_upstreamattempt"),
        *("stats.view_erasure", "stats.view_cacheentry"),
        *("proxy.view_entry", "proxy.delete_entry", "proxy.view_entry_text", "proxy.view_entrylook"),
        *("proxy.view_wronganswer", "proxy.add_wronganswer", "proxy.change_wronganswer"),
    )
)
NUMBERS: Final = ("stats.view_rollup", "plans.view_plan", "plans.change_plan")  # each opens reports


def tenant_of(user: Any) -> Tenant | None:
    """The one tenant that this person belongs to; None: the platform, and with it every tenant.

    Raises PermissionDenied for a tenant's admin who belongs to none: nobody sees everything by mistake.
    """
    membership = Membership.objects.filter(user_id=user.pk).select_related("tenant").first()
    if membership:
        return membership.tenant
    if not user.is_superuser and user.groups.filter(name=TENANT_ADMIN).exists():
        raise PermissionDenied("You are a tenant's admin, but of no tenant yet: ask a platform admin to add you to one.")
    return None


def bound(user: Any) -> bool:
    """Whether the person is held to one tenant's rows, if they have one yet."""
    try:
        return tenant_of(user) is not None
    except PermissionDenied:
        return True


def plans_of(user: Any) -> QuerySet[Plan]:
    """The plans whose pages this person may open. Raises PermissionDenied as `tenant_of` does."""
    tenant = tenant_of(user)
    plans = Plan.objects.select_related("tenant")
    return plans if tenant is None else plans.filter(tenant=tenant)


def sees_numbers(user: Any) -> bool:
    """Whether the person may look at reports, of their tenant or of all."""
    return bool(user and user.is_authenticated and user.is_staff and any(user.has_perm(name) for name in NUMBERS))


class TenantBounds:
    """Refuses a tenant's person whatever is beyond their tenant before another backend can grant it (`PermissionDenied` ends the asking).

    So a permission given by mistake, to them or to their group, opens nothing of the platform's. Superusers are asked nothing by Django.
    Nobody logs in by it, so it has no `get_user`.
    """

    def authenticate(self, request: Any, **_: Any) -> None:
        return None

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        if perm not in OF_TENANTS and user_obj.is_authenticated and _bound(user_obj):
            raise PermissionDenied
        return False


def _bound(user: Any) -> bool:
    """Asked dozens of times for a page: kept with the user, as Django keeps the permissions."""
    kept: bool | None = user.__dict__.get("_of_a_tenant")
    if kept is None:
        kept = user.__dict__["_of_a_tenant"] = bound(user)
    return kept
