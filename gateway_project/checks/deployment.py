"""System checks of the settings alone: they need no service,
so every `manage.py` command runs them.

tokenthrift.E001 weak secret key, E002 weak pepper, E003 unusable encryption key, E004 DEBUG where
others can see it, E005 weak admin key; tokenthrift.W006 (deploy) metrics open to everybody;
tokenthrift.E007 traces are wanted and cannot be exported; tokenthrift.E008 stored answers are to be
encrypted and there is no usable key for it.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's own name

LOOPBACK_HOSTS = {"localhost", "127.0.0.1", "::1", "[::1]"}
WELL_KNOWN_PREFIXES = ("change", "insecure", "secret", "password", "example", "default", "test")
Apps = Sequence[AppConfig] | None


def is_weak_secret(secret: str, length: int) -> bool:
    """Whether a secret is short, says so itself (`change-me`), or repeats a few characters."""
    return (
        len(secret) < length
        or len(set(secret)) < 8
        or secret.lower().startswith(WELL_KNOWN_PREFIXES)
    )


@register(Tags.security)
def check_secrets(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    """E001, E002, E003, E005."""
    found: list[CheckMessage] = []
    if is_weak_secret(settings.SECRET_KEY, 32):
        found.append(
            Error(
                "TOKENTHRIFT_SECRET_KEY is short or well known.",
                hint="Use 48 random characters.",
                id="tokenthrift.E001",
            )
        )
    if is_weak_secret(settings.KEY_PEPPER, 16):
        found.append(
            Error(
                "TOKENTHRIFT_KEY_PEPPER is short or well known.",
                hint="Use 48 random characters.",
                id="tokenthrift.E002",
            )
        )
    if not settings.ENCRYPTION_KEYS or not all(
        _is_fernet_key(key) for key in settings.ENCRYPTION_KEYS
    ):
        hint = (
            "Make each with: python -c 'from cryptography.fernet import Fernet; "
            "print(Fernet.generate_key().decode())'"
        )
        found.append(
            Error(
                "TOKENTHRIFT_ENCRYPTION_KEYS must hold Fernet keys, split by commas.",
                hint=hint,
                id="tokenthrift.E003",
            )
        )
    if settings.ADMIN_KEY and is_weak_secret(settings.ADMIN_KEY, 20):
        found.append(
            Error(
                "TOKENTHRIFT_ADMIN_KEY is short or well known.",
                hint="Use 32 random characters.",
                id="tokenthrift.E005",
            )
        )
    return found


def _is_fernet_key(key: str) -> bool:
    try:
        Fernet(key)
    except ValueError:
        return False
    return True


@register(Tags.security)
def check_cache_encryption(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    """E008: wanted, and no key to do it with: the gateway would not start."""
    usable = bool(settings.ENCRYPTION_KEYS) and all(
        _is_fernet_key(key) for key in settings.ENCRYPTION_KEYS
    )
    if settings.ENCRYPT_CACHE and not usable:
        hint = (
            "Set TOKENTHRIFT_ENCRYPTION_KEYS to Fernet keys, split by commas, or "
            "TOKENTHRIFT_ENCRYPT_CACHE to no."
        )
        return [
            Error(
                "TOKENTHRIFT_ENCRYPT_CACHE is on without a usable encryption key.",
                hint=hint,
                id="tokenthrift.E008",
            )
        ]
    return []


@register(Tags.security)
def check_debug_exposure(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    """E004: a debug page shows settings and source to whoever causes an error."""
    public = ({settings.HOST} | set(settings.ALLOWED_HOSTS)) - LOOPBACK_HOSTS
    if settings.DEBUG and public:
        return [
            Error(
                f"TOKENTHRIFT_DEBUG is on and {', '.join(sorted(public))} is not a loopback host.",
                id="tokenthrift.E004",
            )
        ]
    return []


@register(Tags.security, deploy=True)
def check_metrics_exposure(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    """W006: without a token whoever reaches the port reads the traffic figures."""
    if not settings.METRICS_TOKEN and settings.HOST not in LOOPBACK_HOSTS:
        return [
            Warning(
                f"/metrics on {settings.HOST} asks for no token: set TOKENTHRIFT_METRICS_TOKEN.",
                id="tokenthrift.W006",
            )
        ]
    return []


@register
def check_trace_export(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    """E007: a collector is named, and its address is none
    or the packages for it are not installed."""
    if not settings.TRACING:
        return []
    address = urlsplit(settings.OTLP_ENDPOINT or "http://named.elsewhere")
    if address.scheme not in {"http", "https"} or not address.netloc:
        hint = "Name the collector's OTLP/HTTP address, such as http://collector:4318."
        return [
            Error("TOKENTHRIFT_OTLP_ENDPOINT is no http address.", hint=hint, id="tokenthrift.E007")
        ]
    if not _is_installed("opentelemetry.sdk.trace") or not _is_installed(
        "opentelemetry.exporter.otlp.proto.http"
    ):
        hint = (
            "pip install -r requirements-otel.txt, or unset TOKENTHRIFT_OTLP_ENDPOINT and "
            "OTEL_EXPORTER_OTLP_ENDPOINT."
        )
        return [
            Error(
                "Traces are to be exported, and OpenTelemetry is not installed.",
                hint=hint,
                id="tokenthrift.E007",
            )
        ]
    return []


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # not even its parent
        return False
