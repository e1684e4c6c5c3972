"""One kept-alive HTTP/1.1 connection of a load generator, as a bare asyncio protocol:
a few microseconds a request, so that what is measured is the server. One request at a time, each
answer handed on whole.
"""

import asyncio
from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol, cast
from urllib.parse import urlsplit

HEAD_END = b"\r\n\r\n"
# No chunk of an event stream or of JSON ends like this: their line ends have no carriage return.
LAST_CHUNK = b"\r\n0\r\n\r\n"


class Request(NamedTuple):
    """What is sent, and words that the body of its answer must hold."""

    payload: bytes
    sign: bytes = b""


Requests = Iterator[Request]


class Owner(Protocol):
    """Who sends over wires and hears what comes back."""

    def opened(self, wire: "Wire") -> None: ...
    def answered(self, wire: "Wire", head: bytes, body: bytes) -> None: ...
    def failed(self, error: Exception) -> None: ...
    def lost(self, wire: "Wire", error: Exception) -> None: ...


class Wire(asyncio.Protocol):
    """`sent`: when the request under way was sent or, in an open loop, was due;
    `time.perf_counter`."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._held = b""
        self.request = Request(b"")
        self.sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._owner.opened(self)

    def send(self, request: Request, at: float) -> None:
        self.request, self.sent = request, at
        self._transport.write(request.payload)

    def data_received(self, data: bytes) -> None:
        if self._held:
            data = self._held + data
        end = data.find(HEAD_END)
        head = data[:end].lower()
        if end < 0 or not _is_whole(head, data, end):
            self._held = data
            return
        self._held = b""
        try:
            self._owner.answered(self, head, data[end + 4 :])
        except Exception as error:
            # An error in a callback would only be logged, and the load wait for ever.
            self._owner.failed(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.lost(self, exc or ConnectionResetError("the server closed a connection"))

    def close(self) -> None:
        self._transport.close()


def _is_whole(head: bytes, data: bytes, end: int) -> bool:
    start = head.find(b"content-length: ")
    if start >= 0:
        stop = head.find(b"\r", start)
        return len(data) - end - 4 >= int(head[start + 16 : stop if stop > 0 else end])
    return b"transfer-encoding: chunked" not in head or data.endswith(LAST_CHUNK)


def post(
    url: str,
    body: bytes,
    *,
    key: str = "",
    sign: bytes = b"",
    more: Mapping[str, str] | None = None,
) -> Request:
    """A POST of JSON, ready to be sent as often as wanted."""
    parts = urlsplit(url)
    headers = {
        "Host": parts.netloc,
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        **(more or {}),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return Request(
        f"POST {parts.path or '/'} HTTP/1.1\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode()
        + body,
        sign,
    )


async def connect(url: str, owner: Owner, count: int) -> list[Wire]:
    """So many open connections to the server of the URL."""
    (host, port), loop = address(url), asyncio.get_running_loop()
    opened = await asyncio.gather(
        *(loop.create_connection(lambda: Wire(owner), host, port) for _ in range(count))
    )
    return [wire for _, wire in opened]


def address(url: str) -> tuple[str, int]:
    """Host and port of a URL that names both."""
    host, _, port = urlsplit(url).netloc.partition(":")
    return host, int(port)
