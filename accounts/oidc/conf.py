"""The OIDC settings as one value, read at the moment of use."""

from dataclasses import dataclass

from django.conf import settings

from accounts.grants import RoleGrant
from accounts.oidc.roles import parse_role_mapping


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """What the gateway knows of its identity provider."""

    issuer: str
    client_id: str
    client_secret: str
    scopes: tuple[str, ...]
    roles_claim: str
    roles: dict[str, RoleGrant]
    email_domains: frozenset[str]
    allow_private: bool

    def __repr__(self) -> str:
        return f"OidcSettings({self.issuer}, client {self.client_id})"


def is_oidc_enabled() -> bool:
    return bool(settings.OIDC_ISSUER)


def load_oidc_settings() -> OidcSettings:
    """Build the value from the settings. Raises ValueError for a role mapping that says nothing."""
    return OidcSettings(
        issuer=settings.OIDC_ISSUER,
        client_id=settings.OIDC_CLIENT_ID,
        client_secret=settings.OIDC_CLIENT_SECRET,
        scopes=tuple(dict.fromkeys(("openid", *settings.OIDC_SCOPES))),
        roles_claim=settings.OIDC_ROLES_CLAIM,
        roles=parse_role_mapping(settings.OIDC_ROLES),
        email_domains=frozenset(domain.lower() for domain in settings.OIDC_EMAIL_DOMAINS),
        allow_private=settings.OIDC_ALLOW_PRIVATE,
    )
