"""System checks of the settings, which need no service and run with every `manage.py` command.

tokenthrift.E001 weak secret key, E002 weak pepper, E003 unusable encryption key, E004 DEBUG on a
public host, E005 weak admin key; tokenthrift.W006 (deploy) metrics without a token;
tokenthrift.E007 traces are to be exported and cannot be; tokenthrift.E008 stored answers are to be
encrypted and there is no usable key; tokenthrift.E009 an origin of CORS that no browser sends;
tokenthrift.E012 a path prefix that is none;
tokenthrift.E014 a proxy of the environment that is none.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's own name

from gateway_project.cors import ANY_ORIGIN, describe_origin_fault
from gateway_project.path_prefix import ACCEPTED, describe_prefix_fault
from proxy.conf import conf

LOOPBACK_HOSTS = {"localhost", "127.0.0.1", "::1", "[::1]"}
WELL_KNOWN_PREFIXES = ("change", "insecure", "secret", "password", "example", "default", "test")
Apps = Sequence[AppConfig] | None


def is_weak_secret(secret: str, length: int) -> bool:
    """Whether a secret is short, well known (`change-me`), or repeats a few characters."""
    return (
        len(secret) < length
        or len(set(secret)) < 8
        or secret.lower().startswith(WELL_KNOWN_PREFIXES)
    )


@register(Tags.security)
def check_secrets(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    """Check the secrets: E001, E002, E003, E005."""
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
    """Check that cache encryption has a usable key: E008."""
    usable = bool(settings.ENCRYPTION_KEYS) and all(
        _is_fernet_key(key) for key in settings.ENCRYPTION_KEYS
    )
    # Without one the gateway would not start.
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
    """Check that DEBUG is on for loopback hosts only: E004."""
    public = ({settings.HOST} | set(settings.ALLOWED_HOSTS)) - LOOPBACK_HOSTS
    # A debug page shows settings and source to anyone who causes an error.
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
    """Check that /metrics needs a token: W006."""
    # Without one anyone who reaches the port can read the traffic figures.
    if not settings.METRICS_TOKEN and settings.HOST not in LOOPBACK_HOSTS:
        return [
            Warning(
                f"/metrics on {settings.HOST} asks for no token: set TOKENTHRIFT_METRICS_TOKEN.",
                id="tokenthrift.W006",
            )
        ]
    return []


@register(Tags.security)
def check_cors_origins(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    """Check that each origin of CORS is one that browsers send, or `*` stands alone: E009."""
    origins = settings.CORS_ORIGINS
    faults = [
        f"{origin} {fault}"
        for origin in origins
        if origin != ANY_ORIGIN and (fault := describe_origin_fault(origin))
    ]
    if ANY_ORIGIN in origins and len(origins) > 1:
        faults.append(f"{ANY_ORIGIN} stands beside other origins")
    if not faults:
        return []
    hint = (
        "Accepted are exact origins without a path, such as https://app.example.org or "
        f"http://localhost:5173, split by commas; or {ANY_ORIGIN} alone for every page."
    )
    return [
        Error(f"TOKENTHRIFT_CORS_ORIGINS: {'; '.join(faults)}.", hint=hint, id="tokenthrift.E009")
    ]


@register(Tags.security)
def check_path_prefix(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    """Check that the gateway can be published under its path prefix: E012."""
    fault = describe_prefix_fault(settings.PATH_PREFIX)
    return (
        [
            Error(
                f"TOKENTHRIFT_PATH_PREFIX: {settings.PATH_PREFIX[:80]!r} {fault}.",
                hint=ACCEPTED,
                id="tokenthrift.E012",
            )
        ]
        if fault
        else []
    )


@register
def check_trace_export(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    """Check that a trace collector's URL is valid and OpenTelemetry is installed: E007."""
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


@register(Tags.security)
def check_outbound_proxy(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    """Check the proxies of the environment, if they are to be used: E014."""
    try:
        _proxies = conf.environment_proxies
    except ValueError as error:
        hint = "Or set TOKENTHRIFT_PROXY_FROM_ENVIRONMENT=no: providers are then called directly."
        return [Error(str(error), hint=hint, id="tokenthrift.E014")]
    return []
