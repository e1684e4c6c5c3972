"""Access rights: a user's tenant, the permissions a tenant's user can hold, Django's groups."""

from typing import Any, Final

from django.apps import AppConfig
from django.apps import apps as today
from django.contrib.auth.management import create_permissions
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet

from plans.models import Membership, Plan, Tenant

# A user sees the reports and plans of one tenant or of all. What they may do with them is up to
# Django's permissions; a tenant's user has none beyond `TENANT_PERMISSIONS`, whoever granted it.

PLATFORM_ADMIN: Final = "Platform admin"
TENANT_ADMIN: Final = "Tenant admin"
VIEWER: Final = "Viewer"
GROUP_NAMES: Final = (PLATFORM_ADMIN, TENANT_ADMIN, VIEWER)
# All permissions a tenant's user can have: they apply to their tenant's rows, or to rows that
# everybody may read.
TENANT_PERMISSIONS: Final = frozenset(
    (
        *("plans.view_plan", "plans.add_plan", "plans.change_plan", "plans.delete_plan"),
        *(
            "plans.view_virtualkey",
            "plans.add_virtualkey",
            "plans.change_virtualkey",
            "plans.delete_virtualkey",
        ),
        *(
            "plans.view_adminkey",
            "plans.add_adminkey",
            "plans.change_adminkey",
            "plans.delete_adminkey",
        ),
        *("plans.view_tenant", "plans.view_modelprice"),
        *("plans.view_historicalplan", "plans.change_historicalplan"),
        *("stats.view_rollup", "stats.view_requestevent", "stats.view_upstreamattempt"),
        *("stats.view_erasure", "stats.view_cacheentry"),
        *(
            "proxy.view_entry",
            "proxy.delete_entry",
            "proxy.view_entry_text",
            "proxy.view_entrylook",
        ),
        *("proxy.view_wronganswer", "proxy.add_wronganswer", "proxy.change_wronganswer"),
    )
)
REPORT_PERMISSIONS: Final = (
    "stats.view_rollup",
    "plans.view_plan",
    "plans.change_plan",
)  # each opens reports


def get_user_tenant(user: Any) -> Tenant | None:
    """Return the tenant the user belongs to; None for the platform, which sees every tenant.

    Raises PermissionDenied for a member of the tenant admin group without a tenant.
    """
    membership = Membership.objects.filter(user_id=user.pk).select_related("tenant").first()
    if membership:
        return membership.tenant
    # Without a membership they would count as the platform's and see everything by mistake.
    if not user.is_superuser and user.groups.filter(name=TENANT_ADMIN).exists():
        raise PermissionDenied(
            "You are a tenant's admin, but of no tenant yet: ask a platform admin "
            "to add you to one."
        )
    return None


def is_tenant_bound(user: Any) -> bool:
    """Whether the user may see one tenant's rows only, or none while no tenant is assigned."""
    try:
        return get_user_tenant(user) is not None
    except PermissionDenied:
        return True


def list_user_plans(user: Any) -> QuerySet[Plan]:
    """Return the plans whose pages the user may open.

    Raises PermissionDenied as `get_user_tenant` does.
    """
    tenant = get_user_tenant(user)
    plans = Plan.objects.select_related("tenant")
    return plans if tenant is None else plans.filter(tenant=tenant)


def can_see_reports(user: Any) -> bool:
    """Whether the user may see reports, of their tenant or of all."""
    return bool(
        user
        and user.is_authenticated
        and user.is_staff
        and any(user.has_perm(name) for name in REPORT_PERMISSIONS)
    )


class TenantPermissionBackend:
    """Authentication backend that denies tenants' users all permissions outside TENANT_PERMISSIONS.

    It comes before the backends that grant. It logs nobody in, so it has no `get_user`. Django does
    not ask backends about superusers.
    """

    def authenticate(self, request: Any, **_: Any) -> None:
        return None

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        if (
            perm not in TENANT_PERMISSIONS
            and user_obj.is_authenticated
            and _is_tenant_bound_memoized(user_obj)
        ):
            # Django then asks no further backend: a permission granted by mistake, to the user or
            # their group, opens nothing of the platform's.
            raise PermissionDenied
        return False


def _is_tenant_bound_memoized(user: Any) -> bool:
    # A page asks dozens of times: kept with the user, as Django keeps the permissions.
    kept: bool | None = user.__dict__.get("_of_a_tenant")
    if kept is None:
        kept = user.__dict__["_of_a_tenant"] = is_tenant_bound(user)
    return kept


# Django's groups for the three kinds of users, created and completed after each migration.
# Permissions that an operator added stay.

PRODUCT_APPS: Final = ("plans", "stats", "proxy")
# Reading the text of requests is granted to single users only.
PLATFORM_ADMIN_EXCLUDED_PERMISSIONS: Final = frozenset({"proxy.view_entry_text"})
USER_PERMISSIONS: Final = frozenset(
    f"auth.{action}_user" for action in ("view", "add", "change", "delete")
)
# Permissions the group lacks at first; an operator may add them.
TENANT_ADMIN_EXCLUDED_PERMISSIONS: Final = frozenset(
    {"proxy.view_entry_text", "stats.view_cacheentry"}
)
VIEWER_PERMISSIONS: Final = frozenset({"stats.view_rollup", "stats.view_requestevent"})


def build_group_permissions(every: set[str]) -> dict[str, frozenset[str]]:
    """Return the permissions of each group, as far as they exist in `every` ("app.codename")."""
    ours = {name for name in every if name.partition(".")[0] in PRODUCT_APPS}
    return {
        PLATFORM_ADMIN: frozenset(
            (ours - PLATFORM_ADMIN_EXCLUDED_PERMISSIONS) | (USER_PERMISSIONS & every)
        ),
        TENANT_ADMIN: frozenset((TENANT_PERMISSIONS - TENANT_ADMIN_EXCLUDED_PERMISSIONS) & every),
        VIEWER: frozenset(VIEWER_PERMISSIONS & every),
    }


def make_groups(sender: AppConfig, using: str, apps: Any = today, **_: object) -> None:
    """Create the groups and add their permissions, after an app's migration or a flush.

    `apps`: the models as migrated.
    """
    try:
        group_model, permission_model = (
            apps.get_model("auth", "Group"),
            apps.get_model("auth", "Permission"),
        )
    except LookupError:  # migrated back to before the models existed
        return
    # This may be called before Django creates the permissions.
    create_permissions(sender, verbosity=0, using=using, apps=apps)
    rows = permission_model.objects.using(using).select_related("content_type")
    found = {f"{row.content_type.app_label}.{row.codename}": row for row in rows}
    for name, permissions in build_group_permissions(set(found)).items():
        group, _made = group_model.objects.using(using).get_or_create(name=name)
        group.permissions.add(*(found[permission] for permission in permissions))
