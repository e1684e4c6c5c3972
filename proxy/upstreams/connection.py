"""Ask an upstream for its models: does the address answer, and does it take the key?

GET `<base_url>/models` costs nothing, and goes through the same guard as a chat request.
"""

import asyncio
import json
from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError

from plans.services import create_row
from proxy.core.config import ProviderEndpoint
from proxy.core.errors import GatewayError
from proxy.engines.providers.http import HttpUpstream
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
    return asyncio.run(_check_endpoint(endpoint))


async def _check_endpoint(endpoint: ProviderEndpoint) -> ConnectionReport:
    patient = replace(endpoint, read_timeout=CHECK_TIMEOUT_SECONDS)
    provider = HttpUpstream(body_limit=MAX_ANSWER_BYTES)
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            reply = await provider.list_models(patient)
            location = reply.headers.get("location", "")
            body = await reply.read_body()
    except TimeoutError:
        text = f"No answer within {CHECK_TIMEOUT_SECONDS:.0f} seconds."
        return ConnectionReport("failed", text)
    except GatewayError as error:
        return ConnectionReport("failed", str(error))
    finally:
        await provider.close()
    return describe_answer(reply.status, body, location)


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
