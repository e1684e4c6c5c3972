"""The ASGI application: /v1 and the server's lifespan belong to `proxy.asgi`, everything else to Django."""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway_project.settings")
django = get_asgi_application()

from proxy.asgi import application as gateway  # noqa: E402 -- Django's apps must be loaded first

Message = MutableMapping[str, Any]


async def application(scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
    """Dispatch by path alone: one string comparison on the hot path."""
    if scope["type"] == "lifespan" or (scope["type"] == "http" and scope["path"].startswith("/v1/")):
        await gateway(scope, receive, send)
    elif scope["type"] == "http":
        await django(scope, receive, send)  # type: ignore[arg-type]  # django-stubs wants its own scope type
    else:
        await send({"type": "websocket.close", "code": 4404})
