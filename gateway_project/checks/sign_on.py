"""System checks of how people log in, which need no service.

tokenthrift.E030 the identity provider's settings are incomplete or invalid; E031 nobody could log
in; W032 nobody could log in while the identity provider is down; E033 mail has no sender.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's own name

from accounts.oidc.roles import ROLE_FORMS, parse_role_mapping

Apps = Sequence[AppConfig] | None


@register(Tags.security)
def check_oidc(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    """Check the settings of the identity provider: E030."""
    return [
        Error(fault, hint="docs/sign-on.md has an example.", id="tokenthrift.E030")
        for fault in _list_oidc_faults()
    ]


def _list_oidc_faults() -> list[str]:
    if not settings.OIDC_ISSUER:
        named = [
            f"TOKENTHRIFT_{name}"
            for name in ("OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", "OIDC_ROLES")
            if getattr(settings, name)
        ]
        return [f"{name} is set without TOKENTHRIFT_OIDC_ISSUER." for name in named]
    faults = []
    schemes = {"https", "http"} if settings.OIDC_ALLOW_PRIVATE else {"https"}
    issuer = urlsplit(settings.OIDC_ISSUER)
    if issuer.scheme not in schemes or not issuer.netloc or issuer.query or issuer.fragment:
        faults.append(
            "TOKENTHRIFT_OIDC_ISSUER must be an https:// address without a query, as the "
            "provider's discovery document writes it."
        )
    if not settings.OIDC_CLIENT_ID:
        faults.append("TOKENTHRIFT_OIDC_CLIENT_ID is empty.")
    try:
        if not parse_role_mapping(settings.OIDC_ROLES):
            faults.append(
                "TOKENTHRIFT_OIDC_ROLES gives nobody a role, so nobody could log in: give values "
                f"of the claim {settings.OIDC_ROLES_CLAIM} a role each: {ROLE_FORMS}."
            )
    except ValueError as error:
        faults.append(f"TOKENTHRIFT_OIDC_ROLES {error}.")
    return faults


@register(Tags.security)
def check_mail(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    """Check that mail has a sender: E033."""
    if settings.EMAIL_HOST and "@" not in settings.DEFAULT_FROM_EMAIL:
        return [
            Error(
                "TOKENTHRIFT_SMTP_URL is set without a sender.",
                hint="Set TOKENTHRIFT_MAIL_FROM, such as Tokenthrift <gateway@example.org>.",
                id="tokenthrift.E033",
            )
        ]
    return []


@register(Tags.security)
def check_local_login(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    """Check that somebody can log in: E031, and with the identity provider down: W032."""
    if settings.LOCAL_LOGIN:
        return []
    if not settings.OIDC_ISSUER:
        return [
            Error(
                "TOKENTHRIFT_LOCAL_LOGIN is off and there is no identity provider: nobody could "
                "log in.",
                hint="Set TOKENTHRIFT_OIDC_ISSUER, or leave local log-ins on.",
                id="tokenthrift.E031",
            )
        ]
    if not settings.BREAK_GLASS:
        return [
            Warning(
                "While the identity provider is down, nobody can log in.",
                hint="Name an account for that in TOKENTHRIFT_BREAK_GLASS.",
                id="tokenthrift.W032",
            )
        ]
    return []
