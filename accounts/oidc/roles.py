"""Which role and tenant the claims of an identity provider give. Pure."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from accounts.grants import GROUP_BY_ROLE, RoleGrant, describe_fault
from accounts.oidc.errors import NoRole

MAX_ROLE_VALUES: Final = 2000  # of a person's claim
MAX_CLAIM_DEPTH: Final = 8
ROLE_FORMS: Final = (
    "platform-admin, tenant-admin@<tenant>, viewer (of all tenants) or viewer@<tenant>"
)


@dataclass(frozen=True, slots=True)
class Access:
    """All that a person may be: Django groups, and the one tenant they belong to or ""."""

    groups: frozenset[str]
    tenant: str = ""


def parse_role_mapping(text: str) -> dict[str, RoleGrant]:
    """Parse TOKENTHRIFT_OIDC_ROLES: a JSON object from the claim's values to roles.

    Raises ValueError that names the invalid part.
    """
    if not text.strip():
        return {}
    try:
        pairs = json.loads(text)
    except ValueError as error:
        raise ValueError(f"is not JSON ({error})") from None
    if not isinstance(pairs, dict):
        raise ValueError('must be a JSON object such as {"gateway-admins": "platform-admin"}')
    return {value: _parse_grant(value, role) for value, role in pairs.items()}


def _parse_grant(value: str, text: object) -> RoleGrant:
    role, at, tenant = text.partition("@") if isinstance(text, str) else ("", "", "")
    if bool(at) != bool(tenant) or describe_fault(role, has_tenant=bool(tenant)):
        raise ValueError(f"{value!r} must be given {ROLE_FORMS}, not {text!r}")
    return RoleGrant(role, tenant)


def read_role_values(claims: Mapping[str, Any], name: str) -> list[str] | None:
    """Return the values of the roles' claim; None if there is no such claim.

    A claim of exactly that name comes first (some are named by a URL), else the dots of the name
    lead into objects: realm_access.roles.
    """
    found: Any = claims.get(name)
    if found is None and "." in name:
        found = claims
        for part in name.split(".")[:MAX_CLAIM_DEPTH]:
            found = found.get(part) if isinstance(found, Mapping) else None
    if found is None:
        return None
    values = found if isinstance(found, list) else [found]
    return [value for value in values[:MAX_ROLE_VALUES] if isinstance(value, str)]


def resolve_access(values: Iterable[str], mapping: Mapping[str, RoleGrant]) -> Access:
    """Return what the values give together.

    Raises NoRole where they give nothing, or roles in two places: an account is of one tenant or of
    the platform.
    """
    given = {mapping[value] for value in values if value in mapping}
    if not given:
        raise NoRole(
            "Your account at the identity provider has no role here. Ask whoever manages its "
            "groups.",
            detail="no value of the roles' claim is in TOKENTHRIFT_OIDC_ROLES",
        )
    if any(grant.role == "platform-admin" for grant in given):
        return Access(frozenset({GROUP_BY_ROLE["platform-admin"]}))
    places = {grant.tenant for grant in given}
    if len(places) > 1:
        named = ", ".join(sorted(map(str, given)))
        raise NoRole(
            "Your groups give you roles in more than one place, and an account here belongs to "
            "one tenant. Ask whoever manages them.",
            detail=f"the claim's values give {named}",
        )
    return Access(frozenset(grant.group for grant in given), places.pop())
