"""Limit request bodies on Django's side, and set `x-request-id` on its responses as /v1 does.

Django's ASGI handler writes a body of any length to a temporary file before any view, login or size
check sees it. Here it is counted as it arrives: an endless one ends at the limit with our error
object, and so does one that the server reports as late.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

from proxy.core.errors import BodyTimeout, BodyTooLarge, GatewayError
from proxy.core.request_ids import new_request_id

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


def limit_bodies(app: App, limit: int) -> App:
    """Wrap an application: bodies of at most `limit` bytes, and a request id on each response.

    A longer body is answered with 413 and the connection closed.
    """

    too_large = BodyTooLarge(f"The body is larger than the {limit} bytes accepted.")

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        size, answered = 0, False
        refused: GatewayError | None = None

        async def receive_counted() -> Message:
            nonlocal size, refused
            message = await receive()
            size += len(message.get("body", b""))
            if size > limit:
                refused = too_large
            elif message.get("more_body") and scope.get("state", {}).get("body_late"):
                refused = BodyTimeout("The body did not arrive in time.")
            return {"type": "http.disconnect"} if refused else message

        async def send_noting_start(message: Message) -> None:
            nonlocal answered
            answered = True
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", new_request_id().encode()),
                ]
            await send(message)

        announced = dict(scope["headers"]).get(b"content-length", b"")
        if announced.isdigit() and int(announced) > limit:
            refused = too_large
        else:
            await app(scope, receive_counted, send_noting_start)
        if refused is not None and not answered:
            await send_error(send, refused)

    return application


async def send_error(send: Send, error: GatewayError) -> None:
    """Answer a request with the error object, and close its connection."""
    body = orjson.dumps(error.error_object())
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        (b"x-request-id", new_request_id().encode()),
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
