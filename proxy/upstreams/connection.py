"""Ask an upstream for its models: does the address answer, and does it take the key?

GET `<base_url>/models` costs nothing, and goes through the same guard as a chat request.
"""

import asyncio
import json
import socket
import ssl
from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import aiohttp
from django.core.exceptions import ValidationError

from plans.services import create_row
from plans.snapshot import WILDCARD
from proxy.conf import conf
from proxy.core.config import ProviderEndpoint
from proxy.core.errors import GatewayError
from proxy.core.upstream_corrections import correct_base_url
from proxy.engines.providers.http import HttpUpstream, iter_causes
from proxy.engines.providers.tls import TlsFileError
from proxy.models import ROUTE_NAME, Route, Upstream
from proxy.upstreams import encryption
from proxy.upstreams.endpoints import build_endpoint

# `unsure`: the server answers, and only a chat request can tell the rest.
ConnectionState = Literal["ok", "unsure", "failed"]

CHECK_TIMEOUT_SECONDS: Final = 10.0
MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024
MAX_MODELS: Final = 2_000
MAX_MODEL_LENGTH: Final = 200


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """What came of it, in a sentence or two; `models`: their names at the provider."""

    state: ConnectionState
    message: str
    models: tuple[str, ...] = ()


def check_upstream(upstream: Upstream) -> ConnectionReport:
    """Ask a saved upstream for its models. Blocks CHECK_TIMEOUT_SECONDS at most."""
    try:
        endpoint = build_endpoint(upstream)
    except (ValueError, encryption.DecryptionFailed) as error:
        return ConnectionReport("failed", f"{error}".rstrip(".") + ".")
    report = asyncio.run(_check_endpoint(endpoint))
    advice = "" if report.state == "ok" else _advise_address(endpoint)
    return replace(report, message=f"{report.message}{advice}")


async def _check_endpoint(endpoint: ProviderEndpoint) -> ConnectionReport:
    patient = replace(endpoint, read_timeout=CHECK_TIMEOUT_SECONDS)
    provider = HttpUpstream(
        body_limit=MAX_ANSWER_BYTES, environment_proxies=conf.environment_proxies
    )
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            reply = await provider.list_models(patient)
            location = reply.headers.get("location", "")
            body = await reply.read_body()
    except TimeoutError:
        text = f"No answer within {CHECK_TIMEOUT_SECONDS:.0f} seconds."
        return ConnectionReport("failed", text)
    except GatewayError as error:
        return ConnectionReport("failed", f"{error}{describe_cause(error)}")
    finally:
        await provider.close()
    return describe_answer(reply.status, body, location)


def describe_cause(error: BaseException) -> str:
    """Say to an administrator what is behind an error that clients are told less about."""
    for cause in iter_causes(error):
        if isinstance(cause, TlsFileError):
            return f" {cause}"
        # aiohttp's own error is one too, without a message.
        if isinstance(cause, ssl.SSLCertVerificationError) and hasattr(cause, "verify_message"):
            return (
                f" The server's certificate is not believed: {cause.verify_message}. An authority "
                "of your own belongs in a CA file."
            )
        if isinstance(cause, aiohttp.ClientProxyConnectionError):
            return " Nobody answers at the address of the proxy."
        if isinstance(cause, aiohttp.ClientHttpProxyError) and cause.status == 407:
            return " It wants another user or password."
        if isinstance(cause, socket.gaierror):
            return " The name is unknown here."
    return ""


def _advise_address(endpoint: ProviderEndpoint) -> str:
    """Say what the base URL would be corrected to, if it was saved today."""
    try:
        found = correct_base_url(
            endpoint.base_url,
            provider_id=endpoint.provider,
            allow_private=endpoint.allow_private,
            query=dict(endpoint.query),
        )
    except ValueError as error:
        return f" The base URL: {error}"
    if found.base_url == endpoint.base_url:
        return ""
    return f" Is the base URL {found.base_url}?"


def describe_answer(status: int, body: bytes, location: str = "") -> ConnectionReport:
    """Say what a provider's answer to GET /models means."""
    if status == 200:
        return _describe_models(body)
    if status in (401, 403):
        text = f"The server answers, and refuses the key ({status})."
        return ConnectionReport("failed", text)
    if status in (404, 405, 501):
        text = (
            f"The server answers, and has no list of models at this address ({status}). If chat "
            "requests fail too, look at the base URL: most end in /v1."
        )
        return ConnectionReport("unsure", text)
    if 300 <= status < 400:
        host = urlsplit(location).netloc or "another address"
        text = f"The server redirects to {host} ({status}). Redirects are not followed: set that."
        return ConnectionReport("failed", text)
    if status == 429:
        return ConnectionReport("unsure", "The server answers, and is busy with this key (429).")
    return ConnectionReport("failed", f"The server answers with an error ({status}).")


def add_routes(upstream: Upstream, models: tuple[str, ...], *, prefix: str) -> list[Route]:
    """Make a route `<prefix><model>` for each model that has none of that name yet.

    Models whose names no route can have are left out.
    """
    names = {f"{prefix}{model}": model for model in models}
    present = set(Route.objects.filter(name__in=names).values_list("name", flat=True))
    made = []
    for name, model in sorted(names.items()):
        if name in present or not _is_route_name(name):
            continue
        route = Route(name=name, upstream=upstream, model=model)
        create_row(route, reason="Imported from the provider's list of models")
        made.append(route)
    return made


def _is_route_name(name: str) -> bool:
    if WILDCARD in name:
        return False  # no provider decides what else its list leads to
    try:
        ROUTE_NAME(name)
    except ValidationError:
        return False
    return True


def _describe_models(body: bytes) -> ConnectionReport:
    models = _read_models(body)
    if models is None:
        text = (
            "The server answers with something that is no list of models. Look at the base URL: "
            "most end in /v1."
        )
        return ConnectionReport("unsure", text)
    count = f"{len(models)} model{'' if len(models) == 1 else 's'}"
    return ConnectionReport("ok", f"The server takes the key and lists {count}.", models)


def _read_models(body: bytes) -> tuple[str, ...] | None:
    """Return the ids of OpenAI's list, sorted; None for anything else."""
    try:
        found: Any = json.loads(body)
        rows = found["data"]
        names = {str(row["id"]) for row in rows[:MAX_MODELS] if isinstance(row, dict)}
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return tuple(
        sorted(name for name in names if 0 < len(name) <= MAX_MODEL_LENGTH and name.isprintable())
    )
