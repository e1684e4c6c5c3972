"""Authentication of the management API: an admin key, or a staff session.

A session needs Django's permissions on plans; its class also checks CSRF.
"""

import hmac
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from plans import key_secrets, selectors
from plans.access import TENANT_PERMISSIONS, get_user_tenant
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
    """The user of an admin key: of one tenant, or of the platform if `tenant` is None."""

    name: str
    tenant: Tenant | None = None
    is_authenticated: ClassVar[bool] = True
    is_active: ClassVar[bool] = True


class AdminKeyAuthentication(BaseAuthentication):
    """Authentication by `Authorization: Bearer <admin key>`.

    Raises AuthenticationFailed for any other key.
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
    # In constant time, so that timing tells nothing of the key.
    if configured and hmac.compare_digest(secret.encode("utf-8", "replace"), configured.encode()):
        return Administrator("TOKENTHRIFT_ADMIN_KEY")
    # A malformed key is rejected without a query; a virtual key is malformed here.
    if not key_secrets.is_well_formed(secret, key_secrets.ADMIN_KEY_KIND):
        return None
    digest = key_secrets.compute_key_digest(secret, pepper=settings.KEY_PEPPER)
    row = AdminKey.objects.filter(digest=digest, revoked_at=None).select_related("tenant").first()
    return Administrator(row.name, row.tenant) if row else None


class IsAdministrator(BasePermission):
    """Permission for admin keys and for staff users with the permission on plans the method needs.

    A view can name another action on plans (`needs`), or several permissions of which one suffices
    (`allows`).
    """

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


class MayManageObjects(IsAdministrator):
    """Permission for views of one kind of object (`kind_label`: "app.model").

    PUT may create and replace, so it takes both permissions; of other methods a view can name
    another action (`needs`). A tenant's key may do what a tenant's people may be granted.
    """

    message = "This key or account may not do that with these objects."

    def has_permission(self, request: Request, view: Any) -> bool:
        app, model = view.kind_label.split(".")
        method = request.method or ""
        action = getattr(view, "needs", None) or ACTION_BY_METHOD.get(method, "change")
        actions = ("add", "change") if method == "PUT" else (action,)
        names = [f"{app}.{action}_{model}" for action in actions]
        user: Any = request.user
        if isinstance(user, Administrator):
            return user.tenant is None or TENANT_PERMISSIONS.issuperset(names)
        return bool(user and user.is_authenticated and user.is_staff and user.has_perms(names))


def get_own_tenant(request: Request) -> Tenant | None:
    """Return the tenant of the key or user; None for the platform.

    Raises PermissionDenied as `get_user_tenant` does.
    """
    return (
        request.user.tenant
        if isinstance(request.user, Administrator)
        else get_user_tenant(request.user)
    )


def get_plan_owner(request: Request) -> Tenant | None:
    """Return the tenant whose plans the request is about; None for the platform.

    Administrators of the platform choose it by `?tenant=`; all others get their own. Raises
    TenantNotFound for an unknown tenant, and for any other tenant than one's own.
    """
    slug = request.query_params.get("tenant", "")
    own = get_own_tenant(request)
    if own is None:
        return selectors.find_tenant(slug) if slug else None
    if slug not in {"", own.slug}:
        raise TenantNotFound("No such tenant.", param="tenant")
    return own
