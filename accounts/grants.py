"""The roles that log-ins and invitations give, and what of an account they set."""

from dataclasses import dataclass
from typing import Final

from django.contrib.auth.models import Group, User

from plans.access import GROUP_NAMES, PLATFORM_ADMIN, TENANT_ADMIN, VIEWER
from plans.models import Membership, Tenant

# As an operator writes them.
GROUP_BY_ROLE: Final = {
    "platform-admin": PLATFORM_ADMIN,
    "tenant-admin": TENANT_ADMIN,
    "viewer": VIEWER,
}


@dataclass(frozen=True, slots=True)
class RoleGrant:
    """A role, within one tenant (its slug) or, if `tenant` is "", on the whole platform."""

    role: str
    tenant: str = ""

    @property
    def group(self) -> str:
        return GROUP_BY_ROLE[self.role]

    def __str__(self) -> str:
        return f"{self.role}@{self.tenant}" if self.tenant else self.role


def describe_fault(role: str, *, has_tenant: bool) -> str:
    """Say why a role cannot be had so; "" if it can."""
    if role not in GROUP_BY_ROLE:
        return f"The roles are {', '.join(GROUP_BY_ROLE)}."
    if role == "tenant-admin" and not has_tenant:
        return "A tenant's admin needs a tenant."
    if role == "platform-admin" and has_tenant:
        return "A platform admin belongs to no tenant."
    return ""


def apply_access(user: User, groups: frozenset[str], tenant: Tenant | None) -> None:
    """Give the account exactly this role: built-in groups, tenant, staff, no superuser.

    Groups of the operator's own making and single permissions stay.
    """
    ours = Group.objects.filter(name__in=GROUP_NAMES)
    user.groups.remove(*ours.exclude(name__in=groups))
    user.groups.add(*ours.filter(name__in=groups))
    if tenant is None:
        Membership.objects.filter(user=user).delete()
    else:
        Membership.objects.update_or_create(user=user, defaults={"tenant": tenant})
    user.is_staff, user.is_superuser = True, False
    user.save(update_fields=["is_staff", "is_superuser"])
