"""One client's connection, with a bound on all that the client alone decides: size and time.

uvicorn's protocol for httptools has none: a head may be of any length (and costs its square, as
httptools adds each piece to a bytes object), may never end, and an answer may wait for ever for a
reader that does not read. Nothing here costs a request more than a few additions: what is late is
looked for once a second, over all connections of the worker.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Container
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

import orjson
from django.conf import settings
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from proxy.core.errors import BadRequest, GatewayError, HeadTooLarge, TooManyConnections
from proxy.core.request_ids import new_request_id
from stats.monitoring import gauges

LOOK_EVERY = 1.0  # seconds
# What still comes is thrown away for so long, or a reset would overtake the answer.
LINGER_SECONDS = 2.0
ANSWER_SECONDS = 10.0  # in which the application answers a body that is late
# Within the time to read, this part of what waits must be taken, or the high-water mark.
PROGRESS = 10
MAX_PORT = 65535
FRAMING_BYTES = 4  # of a header: colon, blank, end of line


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Bounds of one connection.

    Times in seconds; `per_address`: connections of a worker, 0 for any number.
    """

    head_bytes: int
    headers: int
    head_seconds: float
    body_seconds: float
    unread_seconds: float
    per_address: int
    trusted: Container[str | None]


class OpenConnections:
    """The connections of this worker, by address, and the clock that ends the late ones."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._open: set[BoundedConnection] = set()
        self._by_address: Counter[str] = Counter()
        self._looking = False

    def add(self, connection: "BoundedConnection", address: str) -> bool:
        """Watch the connection. Whether its address may have one more."""
        self._open.add(connection)
        if address:
            self._by_address[address] += 1
        if not self._looking:
            self._looking = True
            connection.loop.call_later(LOOK_EVERY, self._look, connection.loop)
        most = self.limits.per_address
        return not (address and most and self._by_address[address] > most)

    def remove(self, connection: "BoundedConnection", address: str) -> None:
        if connection not in self._open:
            return
        self._open.discard(connection)
        if address:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]

    def address_of(self, client: "tuple[str, int] | None") -> str:
        """What is counted as one address; "" for a trusted proxy,
        behind which many clients come."""
        if client is None or client[0] in self.limits.trusted:
            return ""
        return _counted_address(client[0])

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in list(self._open):
            connection.end_if_late(now)
        self._looking = bool(self._open)
        if self._looking:
            loop.call_later(LOOK_EVERY, self._look, loop)


class BoundedConnection(HttpToolsProtocol):
    """uvicorn's protocol, which refuses a head that is too long and ends what does not go on."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._others = open_connections()
        self._limits = self._others.limits
        self._address = self._others.address_of(self.client)
        self._refused = False
        self._fault: GatewayError | None = None
        self._since_progress = 0  # bytes
        self._waits_for, self._due = "head", self.loop.time() + self._limits.head_seconds
        self._unsent, self._read_due = 0, math.inf
        if not self._others.add(self, self._address):
            self._refuse(
                TooManyConnections("Too many connections from this address.", retry_after=1),
                "address",
            )

    def connection_lost(self, exc: Exception | None) -> None:
        self._others.remove(self, self._address)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if not self._waits_for:
            self._waits_for, self._due = "head", self.loop.time() + self._limits.head_seconds
        self._since_progress += len(data)
        super().data_received(data)
        if self._since_progress > self._limits.head_bytes and not self._refused:
            # In the head, or in what frames a body: trailers, extensions of chunks.
            self._refuse(self._too_large(), "head")

    def handle_websocket_upgrade(self) -> None:
        # The server pings a socket, and ends it when it is silent.
        self._others.remove(self, self._address)
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        if self._fault is not None:
            self._refuse(self._fault, "head")
        else:
            super().send_400_response(msg)

    # Callbacks of the parser; what they raise ends in `send_400_response`.
    def on_message_begin(self) -> None:
        self._since_progress = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        # Not header by header, which costs ten times as much: what has come so far is bounded by
        # `data_received`.
        if (fault := self._head_fault()) is not None:
            self._fault = fault
            raise fault
        self._since_progress = 0
        self._waits_for, self._due = "body", self.loop.time() + self._limits.body_seconds
        before = self.cycle
        super().on_headers_complete()
        if self.scope["http_version"] == "1.0" and self.cycle is not before:
            self.cycle.__class__ = UnframedCycle

    def on_body(self, body: bytes) -> None:
        self._since_progress = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._since_progress = 0
        self._waits_for, self._due = "", math.inf
        super().on_message_complete()

    # Callbacks of the transport.
    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_reading(self.loop.time())

    def resume_writing(self) -> None:
        super().resume_writing()
        self._read_due = math.inf

    def end_if_late(self, now: float) -> None:
        """End the connection when what it waits for has not come in time."""
        if now >= self._due:
            self._end_late(now)
        if self._read_due == math.inf:
            if self.transport.is_closing():  # it waits for the client to take what is left
                self._expect_reading(now)
        elif now >= self._read_due:
            before = self._unsent
            left = self.transport.get_write_buffer_size()
            if left > before - max(HIGH_WATER_LIMIT, self._first_unsent // PROGRESS):
                self._abort("unread")
            else:
                self._unsent, self._read_due = left, now + self._limits.unread_seconds

    def _end_late(self, now: float) -> None:
        # By us, until an earlier request is answered.
        if self._waits_for == "body" and self.flow.read_paused:
            self._due = now + self._limits.body_seconds
        elif self._waits_for == "body" and not self.cycle.response_started:
            # The application answers, as it does all else: `proxy.asgi_client` and
            # `gateway_project.body_limit` look for this.
            self.cycle.scope["state"]["body_late"] = True
            self.cycle.message_event.set()
            gauges.CONNECTIONS_ENDED.labels("body").inc()
            self._waits_for, self._due = "answer", now + ANSWER_SECONDS
        else:
            self._abort(self._waits_for)

    def _expect_reading(self, now: float) -> None:
        self._unsent = self._first_unsent = self.transport.get_write_buffer_size()
        self._read_due = now + self._limits.unread_seconds

    def _abort(self, reason: str) -> None:
        self._due = self._read_due = math.inf
        if reason in ("head", "body", "unread"):
            gauges.CONNECTIONS_ENDED.labels(reason).inc()
        self.transport.abort()

    def _head_fault(self) -> GatewayError | None:
        """Why the head is refused, None where it is not."""
        if len(self.headers) > self._limits.headers:
            return HeadTooLarge(f"The request has more than {self._limits.headers} headers.")
        size = len(self.url)
        for name, value in self.headers:
            size += len(name) + len(value) + FRAMING_BYTES
            if name == b"host" and not _has_valid_port(value):
                return BadRequest("The Host header's port is none.")
        return self._too_large() if size > self._limits.head_bytes else None

    def _too_large(self) -> GatewayError:
        return HeadTooLarge(
            f"The request's head is longer than the {self._limits.head_bytes} bytes accepted."
        )

    def _refuse(self, error: GatewayError, reason: str) -> None:
        """Answer with the error object and throw away what still comes, for a moment;
        in the middle of another answer, end at once."""
        self._refused = True
        gauges.CONNECTIONS_ENDED.labels(reason).inc()
        self._unset_keepalive_if_required()
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()
            return
        self.transport.write(_raw_answer(error))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._waits_for, self._due = "answer", self.loop.time() + LINGER_SECONDS


class UnframedCycle(RequestResponseCycle):
    """A request by HTTP/1.0, which knows no chunks (RFC 9112 section 6.1):
    an answer of unknown length ends with the connection."""

    unframed = False

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.unframed = not any(
                name.lower() == b"content-length" for name, _ in message.get("headers", ())
            )
            if self.unframed:
                self.chunked_encoding = False
        elif self.unframed:
            self.expected_content_length = len(message.get("body", b""))
        await super().send(message)


def _raw_answer(error: GatewayError) -> bytes:
    body = orjson.dumps(error.error_object())
    retry = getattr(error, "retry_after", None)
    head = [
        STATUS_LINE[error.status],
        b"content-type: application/json\r\n",
        b"content-length: %d\r\n" % len(body),
        b"x-request-id: %s\r\n" % new_request_id().encode(),
        b"x-content-type-options: nosniff\r\n",
        b"retry-after: %d\r\n" % retry if retry is not None else b"",
        b"connection: close\r\n\r\n",
    ]
    return b"".join([*head, body])


@lru_cache(maxsize=1024)
def _counted_address(address: str) -> str:
    """The address itself; of IPv6 the /64, which is what one client has."""
    try:
        found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(IPv6Network((found, 64), strict=False))
    return str(found)


@lru_cache(maxsize=1024)
def _has_valid_port(host: bytes) -> bool:
    """Whether a Host header names no port, or one that can be."""
    name, colon, port = host.rpartition(b":")
    # No port; an address of IPv6 without brackets.
    if not colon or (b":" in name and not name.endswith(b"]")):
        return True
    return not port or (port.isdigit() and len(port) <= 5 and int(port) <= MAX_PORT)


def trusted_proxies() -> Container[str | None]:
    """The addresses and networks of TOKENTHRIFT_TRUSTED_PROXIES,
    read as for the forwarded headers."""
    reader: Any = ProxyHeadersMiddleware
    found: Container[str | None] = reader(None, settings.TRUSTED_PROXIES).trusted_hosts
    return found


_made: list[OpenConnections] = []


def open_connections() -> OpenConnections:
    """Those of this process, made at first use with the settings."""
    if not _made:
        limits = ConnectionLimits(
            head_bytes=settings.MAX_HEAD_BYTES,
            headers=settings.MAX_HEADERS,
            head_seconds=settings.HEAD_TIMEOUT,
            body_seconds=settings.BODY_TIMEOUT,
            unread_seconds=settings.UNREAD_TIMEOUT,
            per_address=settings.CONNECTIONS_PER_ADDRESS,
            trusted=trusted_proxies(),
        )
        _made.append(OpenConnections(limits))
    return _made[0]
