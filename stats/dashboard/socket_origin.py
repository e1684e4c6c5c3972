"""Restrict the dashboard's WebSocket to pages of this very server, its port included."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import validate_host

Message = MutableMapping[str, Any]
Application = Callable[[Message, Any, Callable[[Message], Awaitable[None]]], Awaitable[None]]
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
LOCAL_HOSTS: Final = ["localhost", ".localhost", "127.0.0.1", "[::1]"]


def is_own_origin(origin: str, host: str) -> bool:
    """Whether a page of this origin was served under this Host or is a trusted origin."""
    found = _parse_origin(origin)
    if found is None:
        # Without an origin it is no page of a browser.
        return False
    scheme, name, port = found
    # TOKENTHRIFT_TRUSTED_ORIGINS, for a proxy that changes the host or omits its port.
    if origin.lower().rstrip("/") in {
        each.lower().rstrip("/") for each in settings.CSRF_TRUSTED_ORIGINS
    }:
        return True
    asked = _parse_origin(f"{scheme}://{host}")
    allowed = settings.ALLOWED_HOSTS or (LOCAL_HOSTS if settings.DEBUG else [])
    return asked == (scheme, name, port) and validate_host(
        f"[{name}]" if ":" in name else name, allowed
    )


def _parse_origin(url: str) -> tuple[str, str, int] | None:
    """Parse an origin into scheme, host and port (default: the scheme's); None if it is invalid."""
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        return None
    plain = not (
        parts.username or parts.password or parts.path.strip("/") or parts.query or parts.fragment
    )
    return (
        (scheme, host.rstrip("."), port or DEFAULT_PORTS[scheme])
        if scheme in DEFAULT_PORTS and host and plain
        else None
    )


def require_own_origin(application: Application) -> Application:
    """Wrap an ASGI application so that other origins get a 403."""

    async def guard(
        scope: Message, receive: Any, send: Callable[[Message], Awaitable[None]]
    ) -> None:
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value)
        origins, hosts = headers.get(b"origin", []), headers.get(b"host", [])
        if len(origins) == len(hosts) == 1 and is_own_origin(
            origins[0].decode("latin1"), hosts[0].decode("latin1")
        ):
            await application(scope, receive, send)
        else:
            # Before anything of the session is read.
            await send({"type": "websocket.close", "code": 4403})

    return guard
