"""The ASGI application: `proxy.asgi` serves /v1 and the lifespan, Django everything else."""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway_project.settings")
django_application = get_asgi_application()

from django.conf import settings  # noqa: E402 -- Django's apps must be loaded first
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware  # noqa: E402 -- likewise

from gateway_project.body_limit import limit_bodies  # noqa: E402 -- likewise
from gateway_project.cors import allow_origins  # noqa: E402 -- likewise
from gateway_project.path_prefix import PathPrefix, restore_full_path  # noqa: E402 -- likewise
from proxy.asgi import CHAT_PATH, is_api_request  # noqa: E402 -- likewise
from proxy.asgi import application as gateway_application  # noqa: E402 -- likewise
from stats.dashboard.consumers import dashboard_socket  # noqa: E402 -- likewise

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
gateway = allow_origins(gateway_application, settings.CORS_ORIGINS)
django_pages = ProxyHeadersMiddleware(
    limit_bodies(django_application, settings.MAX_BODY_BYTES),  # type: ignore[arg-type]  # three
    settings.TRUSTED_PROXIES,  # names for one type
)
# For errors that name the base URL: clients see the scheme of the proxy.
forwarded_gateway = ProxyHeadersMiddleware(
    gateway,  # type: ignore[arg-type]  # likewise
    settings.TRUSTED_PROXIES,
)


async def dispatch_by_path(scope: Message, receive: Receive, send: Send) -> None:
    """Serve a request whose path has no prefix."""
    if scope["type"] == "http":
        if is_api_request(scope["method"], scope["path"]):
            await forwarded_gateway(scope, receive, send)  # type: ignore[arg-type]  # likewise
        else:
            full = restore_full_path(scope)
            await django_pages(full, receive, send)  # type: ignore[arg-type]  # likewise
    elif scope["path"].rstrip("/") == "/dashboard/live":
        await dashboard_socket(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": 4404})


prefixed = PathPrefix(dispatch_by_path, settings.PATH_PREFIX, django_pages.trusted_hosts)
PREFIXED_CHAT_PATH = f"{settings.PATH_PREFIX}{CHAT_PATH}"


async def application(scope: Message, receive: Receive, send: Send) -> None:
    """Dispatch a request."""
    # One string comparison on the hot path, two where a prefix is set and the proxy leaves it.
    if scope["type"] == "lifespan" or (scope["type"] == "http" and scope["path"] == CHAT_PATH):
        await gateway(scope, receive, send)
    elif scope["type"] == "http" and scope["path"] == PREFIXED_CHAT_PATH:
        await gateway({**scope, "path": CHAT_PATH}, receive, send)
    else:
        await prefixed(scope, receive, send)
