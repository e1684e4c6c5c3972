"""A bound on request bodies for Django's side of the house, and an `x-request-id` on each of its replies, as /v1 has them.

Django's ASGI handler writes a body of any length to a temporary file before any view, log-in or size check sees it:
counted here as it arrives, an endless one ends at the limit, in our own error object.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

from proxy.core.errors import TooLarge
from proxy.core.ids import new_id

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


def limited(app: App, limit: int) -> App:
    """The application with bodies of at most `limit` bytes and a request id. A longer body is answered 413 and the connection closed."""

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        size, over, answered = 0, False, False

        async def counted() -> Message:
            nonlocal size, over
            message = await receive()
            size += len(message.get("body", b""))
            over = over or size > limit
            return {"type": "http.disconnect"} if over else message

        async def noted(message: Message) -> None:
            nonlocal answered
            answered = True
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", new_id().encode())]
            await send(message)

        announced = dict(scope["headers"]).get(b"content-length", b"")
        over = announced.isdigit() and int(announced) > limit
        if not over:
            await app(scope, counted, noted)
        if over and not answered:
            await _refuse(send, limit)

    return application


async def _refuse(send: Send, limit: int) -> None:
    body = orjson.dumps(TooLarge(f"The body is larger than the {limit} bytes accepted.").body())
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        (b"x-request-id", new_id().encode()),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
