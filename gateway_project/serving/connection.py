"""A client's connection, with limits on everything that the client alone decides: size and time.

uvicorn's protocol for httptools has none: a head may be of any length (and costs its square, as
httptools appends each piece to a bytes object), may never end, and a response may wait for ever for
a client that does not read. The limits cost a request no more than a few additions: what is late is
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

LATE_CHECK_INTERVAL_SECONDS = 1.0  # seconds
# Seconds for which remaining input is discarded, or a reset would overtake the response.
LINGER_SECONDS = 2.0
LATE_ANSWER_SECONDS = 10.0  # for the application to answer a late body
# Within the unread timeout the client must take this part of the unsent bytes, or the high-water
# mark.
MIN_PROGRESS_DIVISOR = 10
MAX_PORT = 65535
HEADER_FRAMING_BYTES = 4  # of a header: colon, space, end of line


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Limits of one connection.

    Times in seconds; `max_per_address`: connections per worker, 0 for no limit.
    """

    max_head_bytes: int
    max_headers: int
    head_timeout_seconds: float
    body_timeout_seconds: float
    unread_timeout_seconds: float
    max_per_address: int
    proxy_addresses: Container[str | None]


class OpenConnections:
    """The connections of this worker, counted by address, and the timer that ends late ones."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._connections: set[BoundedConnection] = set()
        self._counts_by_address: Counter[str] = Counter()
        self._is_watching = False

    def add_connection(self, connection: "BoundedConnection", address: str) -> bool:
        """Watch the connection; return whether its address may have one more."""
        self._connections.add(connection)
        if address:
            self._counts_by_address[address] += 1
        if not self._is_watching:
            self._is_watching = True
            connection.loop.call_later(
                LATE_CHECK_INTERVAL_SECONDS, self._end_late_connections, connection.loop
            )
        most = self.limits.max_per_address
        return not (address and most and self._counts_by_address[address] > most)

    def remove_connection(self, connection: "BoundedConnection", address: str) -> None:
        if connection not in self._connections:
            return
        self._connections.discard(connection)
        if address:
            self._counts_by_address[address] -= 1
            if not self._counts_by_address[address]:
                del self._counts_by_address[address]

    def resolve_address(self, client: "tuple[str, int] | None") -> str:
        """Return what counts as one address; "" for a trusted proxy, which has many clients."""
        if client is None or client[0] in self.limits.proxy_addresses:
            return ""
        return _normalize_address(client[0])

    def _end_late_connections(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in list(self._connections):
            connection.end_if_late(now)
        self._is_watching = bool(self._connections)
        if self._is_watching:
            loop.call_later(LATE_CHECK_INTERVAL_SECONDS, self._end_late_connections, loop)


class BoundedConnection(HttpToolsProtocol):
    """uvicorn's protocol with limits: refuses too long heads and ends late connections."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._open_connections = get_open_connections()
        self._limits = self._open_connections.limits
        self._address = self._open_connections.resolve_address(self.client)
        self._is_refused = False
        self._head_error: GatewayError | None = None
        self._bytes_since_progress = 0  # bytes
        self._awaited_part, self._part_deadline = (
            "head",
            self.loop.time() + self._limits.head_timeout_seconds,
        )
        self._unsent_bytes, self._read_deadline = 0, math.inf
        if not self._open_connections.add_connection(self, self._address):
            self._refuse_connection(
                TooManyConnections("Too many connections from this address.", retry_after=1),
                "address",
            )

    def connection_lost(self, exc: Exception | None) -> None:
        self._open_connections.remove_connection(self, self._address)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        if not self._awaited_part:
            self._awaited_part, self._part_deadline = (
                "head",
                self.loop.time() + self._limits.head_timeout_seconds,
            )
        self._bytes_since_progress += len(data)
        super().data_received(data)
        if self._bytes_since_progress > self._limits.max_head_bytes and not self._is_refused:
            # In the head, or in what frames a body: trailers, chunk extensions.
            self._refuse_connection(self._build_head_too_large(), "head")

    def handle_websocket_upgrade(self) -> None:
        # The server pings a WebSocket and closes it if it is silent.
        self._open_connections.remove_connection(self, self._address)
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        if self._head_error is not None:
            self._refuse_connection(self._head_error, "head")
        else:
            super().send_400_response(msg)

    # Callbacks of the parser; what they raise ends in `send_400_response`.
    def on_message_begin(self) -> None:
        self._bytes_since_progress = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        # Not header by header, which costs ten times as much: the bytes received so far are limited
        # by `data_received`.
        if (fault := self._find_head_error()) is not None:
            self._head_error = fault
            raise fault
        self._bytes_since_progress = 0
        self._awaited_part, self._part_deadline = (
            "body",
            self.loop.time() + self._limits.body_timeout_seconds,
        )
        before = self.cycle
        super().on_headers_complete()
        if self.scope["http_version"] == "1.0" and self.cycle is not before:
            self.cycle.__class__ = UnframedCycle

    def on_body(self, body: bytes) -> None:
        self._bytes_since_progress = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._bytes_since_progress = 0
        self._awaited_part, self._part_deadline = "", math.inf
        super().on_message_complete()

    # Callbacks of the transport.
    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_read_deadline(self.loop.time())

    def resume_writing(self) -> None:
        super().resume_writing()
        self._read_deadline = math.inf

    def end_if_late(self, now: float) -> None:
        """End the connection if what it waits for is late."""
        if now >= self._part_deadline:
            self._end_late_part(now)
        if self._read_deadline == math.inf:
            if self.transport.is_closing():  # it waits for the client to read the rest
                self._start_read_deadline(now)
        elif now >= self._read_deadline:
            before = self._unsent_bytes
            left = self.transport.get_write_buffer_size()
            if left > before - max(
                HIGH_WATER_LIMIT, self._first_unsent_bytes // MIN_PROGRESS_DIVISOR
            ):
                self._abort_connection("unread")
            else:
                self._unsent_bytes, self._read_deadline = (
                    left,
                    now + self._limits.unread_timeout_seconds,
                )

    def _end_late_part(self, now: float) -> None:
        # Reading is paused by us until an earlier request is answered.
        if self._awaited_part == "body" and self.flow.read_paused:
            self._part_deadline = now + self._limits.body_timeout_seconds
        elif self._awaited_part == "body" and not self.cycle.response_started:
            # The application answers, as it does everything else: `proxy.asgi_client` and
            # `gateway_project.body_limit` look for this.
            self.cycle.scope["state"]["body_late"] = True
            self.cycle.message_event.set()
            gauges.CONNECTIONS_ENDED.labels("body").inc()
            self._awaited_part, self._part_deadline = "answer", now + LATE_ANSWER_SECONDS
        else:
            self._abort_connection(self._awaited_part)

    def _start_read_deadline(self, now: float) -> None:
        self._unsent_bytes = self._first_unsent_bytes = self.transport.get_write_buffer_size()
        self._read_deadline = now + self._limits.unread_timeout_seconds

    def _abort_connection(self, reason: str) -> None:
        self._part_deadline = self._read_deadline = math.inf
        if reason in ("head", "body", "unread"):
            gauges.CONNECTIONS_ENDED.labels(reason).inc()
        self.transport.abort()

    def _find_head_error(self) -> GatewayError | None:
        """Return why the head is refused; None if it is not."""
        if len(self.headers) > self._limits.max_headers:
            return HeadTooLarge(f"The request has more than {self._limits.max_headers} headers.")
        size = len(self.url)
        for name, value in self.headers:
            size += len(name) + len(value) + HEADER_FRAMING_BYTES
            if name == b"host" and not _has_valid_port(value):
                return BadRequest("The Host header's port is none.")
        return self._build_head_too_large() if size > self._limits.max_head_bytes else None

    def _build_head_too_large(self) -> GatewayError:
        return HeadTooLarge(
            f"The request's head is longer than the {self._limits.max_head_bytes} bytes accepted."
        )

    def _refuse_connection(self, error: GatewayError, reason: str) -> None:
        """Respond with the error object and discard further input for a moment."""
        self._is_refused = True
        gauges.CONNECTIONS_ENDED.labels(reason).inc()
        self._unset_keepalive_if_required()
        if self.cycle is not None and not self.cycle.response_complete:
            # In the middle of another response: end at once.
            self.transport.abort()
            return
        self.transport.write(_build_raw_answer(error))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._awaited_part, self._part_deadline = "answer", self.loop.time() + LINGER_SECONDS


class UnframedCycle(RequestResponseCycle):
    """A request by HTTP/1.0, which has no chunked encoding (RFC 9112 section 6.1).

    A response of unknown length ends with the connection.
    """

    is_unframed = False

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.is_unframed = not any(
                name.lower() == b"content-length" for name, _ in message.get("headers", ())
            )
            if self.is_unframed:
                self.chunked_encoding = False
        elif self.is_unframed:
            self.expected_content_length = len(message.get("body", b""))
        await super().send(message)


def _build_raw_answer(error: GatewayError) -> bytes:
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
def _normalize_address(address: str) -> str:
    """Return the address; for IPv6 its /64, which is what one client has."""
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
    """Whether a Host header has no port, or a valid one."""
    name, colon, port = host.rpartition(b":")
    # No port, or an IPv6 address without brackets.
    if not colon or (b":" in name and not name.endswith(b"]")):
        return True
    return not port or (port.isdigit() and len(port) <= 5 and int(port) <= MAX_PORT)


def parse_trusted_proxies() -> Container[str | None]:
    """Parse TOKENTHRIFT_TRUSTED_PROXIES (addresses and networks) as for the forwarded headers."""
    reader: Any = ProxyHeadersMiddleware
    found: Container[str | None] = reader(None, settings.TRUSTED_PROXIES).trusted_hosts
    return found


_instances: list[OpenConnections] = []


def get_open_connections() -> OpenConnections:
    """Return this process's connections, created on first use with the settings."""
    if not _instances:
        limits = ConnectionLimits(
            max_head_bytes=settings.MAX_HEAD_BYTES,
            max_headers=settings.MAX_HEADERS,
            head_timeout_seconds=settings.HEAD_TIMEOUT,
            body_timeout_seconds=settings.BODY_TIMEOUT,
            unread_timeout_seconds=settings.UNREAD_TIMEOUT,
            max_per_address=settings.CONNECTIONS_PER_ADDRESS,
            proxy_addresses=parse_trusted_proxies(),
        )
        _instances.append(OpenConnections(limits))
    return _instances[0]
