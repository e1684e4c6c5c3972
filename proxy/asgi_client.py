"""The client side of one ASGI request (asgi.readthedocs.io, HTTP message format 2.5)."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from proxy.core.errors import BodyTimeout, BodyTooLarge, ClientDisconnected
from proxy.core.event_loop import run_in_thread
from proxy.core.formats.content_encoding import decompress_body

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
NOSNIFF_HEADER = (b"x-content-type-options", b"nosniff")


class AsgiClient:
    """Implements the `Client` port."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        # RFC 9112 section 6.3: without either of these a request has no body.
        self._has_unread_body = (
            self.headers.get(b"content-length", b"0") != b"0"
            or b"transfer-encoding" in self.headers
        )
        self._state: MutableMapping[str, Any] = scope.get("state", {})

    @property
    def published_at(self) -> tuple[str, str]:
        """Scheme and path prefix under which a proxy publishes the gateway, as far as is known."""
        return self._scope.get("scheme", "http"), self._scope.get("root_path", "")

    def get_header(self, name: bytes) -> str:
        """Return a request header as text, "" if absent."""
        return self.headers.get(name, b"").decode("latin-1")

    async def read_body(self, limit: int) -> bytes:
        """Read and decompress the request body; of one beyond `limit` bytes only the beginning.

        Raises BodyTooLarge, UnsupportedEncoding, BadRequest, ClientDisconnected, or BodyTimeout
        when the server reports that it took too long.
        """
        announced = self.get_header(b"content-length")
        if announced.isascii() and announced.isdigit() and int(announced[:20]) > limit:
            raise BodyTooLarge(f"The body is {announced} bytes; at most {limit} are accepted.")
        parts, size = [], 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            part: bytes = message.get("body", b"")
            parts.append(part)
            size += len(part)
            if size > limit:
                raise BodyTooLarge(f"The body is larger than the {limit} bytes accepted.")
            if not message.get("more_body"):
                self._has_unread_body = False
                body = b"".join(parts) if len(parts) > 1 else parts[0]
                encodings = self.get_header(b"content-encoding")
                return (
                    await run_in_thread(decompress_body, body, encodings, limit=limit)
                    if encodings and body
                    else body
                )
            if self._state.get("body_late"):
                raise BodyTimeout("The body did not arrive in time.")

    async def wait_disconnected(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def start_response(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        # Skipping an unread body would let an attacker set the cost: close the connection instead.
        extra = (
            [NOSNIFF_HEADER, (b"connection", b"close")]
            if self._has_unread_body
            else [NOSNIFF_HEADER]
        )
        await self._send(
            {"type": "http.response.start", "status": status, "headers": [*headers, *extra]}
        )

    async def send_body(self, data: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": more})
