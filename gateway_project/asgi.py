"""The ASGI application: /v1 and the server's lifespan belong to `proxy.asgi`,
everything else to Django."""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway_project.settings")
django = get_asgi_application()

from django.conf import settings  # noqa: E402 -- Django's apps must be loaded first
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware  # noqa: E402 -- likewise

from gateway_project.body_limit import limited  # noqa: E402 -- likewise
from proxy.asgi import application as gateway  # noqa: E402 -- likewise
from proxy.asgi import is_astray  # noqa: E402 -- likewise
from stats.dashboard.consumers import socket as live  # noqa: E402 -- likewise

Message = MutableMapping[str, Any]
pages = ProxyHeadersMiddleware(limited(django, settings.MAX_BODY_BYTES), settings.TRUSTED_PROXIES)  # type: ignore[arg-type]  # three names for one type


async def application(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Dispatch by path alone: one string comparison on the hot path."""
    if scope["type"] == "lifespan" or (
        scope["type"] == "http" and scope["path"].startswith("/v1/")
    ):
        await gateway(scope, receive, send)
    elif scope["type"] == "http":
        if is_astray(scope["path"]):
            await gateway(scope, receive, send)
            return
        await pages(scope, receive, send)  # type: ignore[arg-type]  # likewise
    elif scope["path"].rstrip("/") == "/dashboard/live":
        await live(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": 4404})
