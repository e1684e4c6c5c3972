"""Whose numbers and plans a person may see: everybody's, or one tenant's. What they may do with them, Django's permissions say."""

from typing import Any, Final

from django.core.exceptions import PermissionDenied

from plans.models import Membership, Tenant

PLATFORM_ADMIN: Final = "Platform admin"
TENANT_ADMIN: Final = "Tenant admin"
VIEWER: Final = "Viewer"
GROUPS: Final = (PLATFORM_ADMIN, TENANT_ADMIN, VIEWER)


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
