"""Turn the verified claims of an identity provider into an account with its role."""

import re
from collections.abc import Mapping
from typing import Any, Final

from django.contrib.auth.models import Group, User
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.grants import apply_access
from accounts.models import Identity
from accounts.oidc.conf import OidcSettings
from accounts.oidc.errors import AccountDisabled, NoRole
from accounts.oidc.roles import Access, read_role_values, resolve_access
from plans.access import GROUP_NAMES
from plans.models import Tenant

MAX_NAME_LENGTH: Final = 150  # of Django's users
MAX_NAME_ATTEMPTS: Final = 50
_UNUSABLE = re.compile(r"[^\w.@+-]")


def sign_in(claims: Mapping[str, Any], config: OidcSettings) -> User:
    """Return the account of the claims' subject, made if it is the first log-in.

    Its role and tenant are those of the claims. Without a role the account loses those it had.
    Raises NoRole or AccountDisabled.
    """
    try:
        _check_email(claims, config)
        access = resolve_access(read_role_values(claims, config.roles_claim) or (), config.roles)
        tenant = _find_tenant(access)
    except NoRole:
        revoke_access(issuer=config.issuer, subject=claims["sub"])
        raise
    try:
        return _sign_in(claims, config.issuer, access, tenant)
    except IntegrityError:  # the same person logged in for the first time twice at once
        return _sign_in(claims, config.issuer, access, tenant)


@transaction.atomic
def _sign_in(claims: Mapping[str, Any], issuer: str, access: Access, tenant: Tenant | None) -> User:
    identity = (
        Identity.objects.select_for_update()
        .select_related("user")
        .filter(issuer=issuer, subject=claims["sub"])
        .first()
    )
    if identity is None:
        identity = Identity.objects.create(
            user=_create_user(claims), issuer=issuer, subject=claims["sub"]
        )
    user = identity.user
    if not user.is_active:
        raise AccountDisabled
    Identity.objects.filter(pk=identity.pk).update(used_at=timezone.now())
    _apply_profile(user, claims)
    apply_access(user, access.groups, tenant)
    return user


@transaction.atomic
def revoke_access(*, issuer: str, subject: str) -> None:
    """Take the roles of the subject's account, and with them its sessions' and tokens' rights."""
    identity = Identity.objects.filter(issuer=issuer, subject=subject).first()
    if identity is None:
        return
    user = identity.user
    user.groups.remove(*Group.objects.filter(name__in=GROUP_NAMES))
    # The tenant stays: without it the account would be the platform's, were it given a group again.
    user.is_staff = user.is_superuser = False
    user.save(update_fields=["is_staff", "is_superuser"])


def _find_tenant(access: Access) -> Tenant | None:
    if not access.tenant:
        return None
    tenant = Tenant.objects.filter(slug=access.tenant).first()
    if tenant is None:
        raise NoRole(
            "Your groups give you a role in a tenant that does not exist here. Ask a platform "
            "admin.",
            detail=f"TOKENTHRIFT_OIDC_ROLES names the tenant {access.tenant!r}, which is unknown",
        )
    return tenant


def _check_email(claims: Mapping[str, Any], config: OidcSettings) -> None:
    if not config.email_domains:
        return
    domain = _read_verified_email(claims).rpartition("@")[2].lower()
    if domain not in config.email_domains:
        raise NoRole(
            "Your e-mail address is not one that may log in here, or the identity provider has "
            "not verified it.",
            detail=f"no verified e-mail address of an allowed domain (domain {domain!r})",
        )


def _read_verified_email(claims: Mapping[str, Any]) -> str:
    email = claims.get("email")
    # Some providers write the claim as text.
    verified = claims.get("email_verified") in (True, "true")
    return email if verified and isinstance(email, str) and len(email) <= 254 else ""


def _apply_profile(user: User, claims: Mapping[str, Any]) -> None:
    """Copy the names and the verified address."""
    user.first_name = _read_name(claims, "given_name")
    user.last_name = _read_name(claims, "family_name")
    user.email = _read_verified_email(claims)
    user.save(update_fields=["first_name", "last_name", "email"])


def _read_name(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value[:MAX_NAME_LENGTH] if isinstance(value, str) and value.isprintable() else ""


def _create_user(claims: Mapping[str, Any]) -> User:
    """Create an account without a password, under a name that nobody has.

    The name is the provider's word and proves nothing: an account of that name is another person's.
    """
    wanted = _build_username(claims)
    taken = set(
        User.objects.filter(username__istartswith=wanted).values_list("username", flat=True)
    )
    folded = {name.lower() for name in taken}
    names = [wanted, *(f"{wanted}-{number}" for number in range(2, MAX_NAME_ATTEMPTS))]
    free = next((name for name in names if name.lower() not in folded), None)
    if free is None:
        raise NoRole("Too many accounts have your name. Ask a platform admin.")
    user: User = User.objects.create_user(free)
    user.set_unusable_password()
    user.save(update_fields=["password"])
    return user


def _build_username(claims: Mapping[str, Any]) -> str:
    for source in ("preferred_username", "email", "sub"):
        value = claims.get(source)
        if isinstance(value, str) and (
            name := _UNUSABLE.sub("", value[:500])[: MAX_NAME_LENGTH - 5]
        ):
            return name
    return "person"
