"""Who may manage plans: an admin key, or a staff session with the Django permissions (and CSRF,
which the session class checks)."""

import hmac
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from plans import key_secrets, selectors
from plans.access import get_user_tenant
from plans.api_errors import TenantNotFound
from plans.models import AdminKey, Tenant

ACTION_BY_METHOD: Final = {
    "GET": "view",
    "HEAD": "view",
    "OPTIONS": "view",
    "POST": "add",
    "PUT": "change",
    "PATCH": "change",
    "DELETE": "delete",
}


@dataclass(frozen=True, slots=True)
class Administrator:
    """Who an admin key speaks for: one tenant, or the platform when `tenant` is None."""

    name: str
    tenant: Tenant | None = None
    is_authenticated: ClassVar[bool] = True
    is_active: ClassVar[bool] = True


class AdminKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer <admin key>`.

    A malformed key is refused before any look-up; a virtual key is malformed here.
    """

    def authenticate(self, request: Request) -> tuple[Administrator, str] | None:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        if not header:
            return None
        scheme, _, secret = header.partition(" ")
        administrator = _find_administrator(secret.strip()) if scheme.lower() == "bearer" else None
        if administrator is None:
            raise AuthenticationFailed(
                "This is not a valid admin key. Send it as: Authorization: Bearer <admin key>."
            )
        return administrator, "admin key"

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="tokenthrift"'


def _find_administrator(secret: str) -> Administrator | None:
    configured: str = settings.ADMIN_KEY
    if configured and hmac.compare_digest(secret.encode("utf-8", "replace"), configured.encode()):
        return Administrator("TOKENTHRIFT_ADMIN_KEY")
    if not key_secrets.is_well_formed(secret, key_secrets.ADMIN_KEY_KIND):
        return None
    digest = key_secrets.compute_key_digest(secret, pepper=settings.KEY_PEPPER)
    row = AdminKey.objects.filter(digest=digest, revoked_at=None).select_related("tenant").first()
    return Administrator(row.name, row.tenant) if row else None


class IsAdministrator(BasePermission):
    """An admin key, or a staff user with the permission on plans that the method needs,
    or the view itself where it says so: by an action on plans (`needs`), or by any of several
    permissions (`allows`)."""

    message = "Your account may not do this: it takes a staff account with the permission on plans."

    def has_permission(self, request: Request, view: Any) -> bool:
        user: Any = request.user
        if isinstance(user, Administrator):
            return True
        action = getattr(view, "needs", None) or ACTION_BY_METHOD.get(
            request.method or "", "change"
        )
        names = getattr(view, "allows", None) or (f"plans.{action}_plan",)
        return bool(
            user
            and user.is_authenticated
            and user.is_staff
            and any(user.has_perm(name) for name in names)
        )


def get_own_tenant(request: Request) -> Tenant | None:
    """The one tenant that the key or the person belongs to; None: the platform.

    Raises PermissionDenied as `people.tenant_of` does.
    """
    return (
        request.user.tenant
        if isinstance(request.user, Administrator)
        else get_user_tenant(request.user)
    )


def get_plan_owner(request: Request) -> Tenant | None:
    """Whose plans this request is about: `?tenant=` for the platform's administrators,
    else one's own tenant. None: the platform.

    Raises TenantUnknown, also when a tenant's key or person names any other tenant.
    """
    slug = request.query_params.get("tenant", "")
    own = get_own_tenant(request)
    if own is None:
        return selectors.find_tenant(slug) if slug else None
    if slug not in {"", own.slug}:
        raise TenantNotFound("No such tenant.", param="tenant")
    return own
