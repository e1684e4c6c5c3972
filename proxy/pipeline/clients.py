"""Client wrappers: one with followers, one whose progress is watched, and a null client."""

import asyncio
from collections import deque

from proxy.core.flights import Flight
from proxy.core.ports import Client

# The leader's client: neither its disconnect nor its slow reading stops the followers.


class SharedClient:
    """The client of a flight's leader; implements the `Client` port.

    `client_left`: the leader's own client has disconnected, whether followers remain or not.
    """

    def __init__(self, client: Client, flight: Flight) -> None:
        self.client_left = False
        self._client = client
        self._flight = flight
        self._unsent_chunks: deque[tuple[bytes, bool]] = deque()
        self._writer_task: asyncio.Task[None] | None = None

    async def read_body(self, limit: int) -> bytes:
        return await self._client.read_body(limit)

    async def wait_disconnected(self) -> None:
        """Return when the client and all followers have left; no one can join from then on."""
        await self._client.wait_disconnected()
        self.client_left = True
        await self._flight.wait_until_empty()
        self._flight.abandon()

    async def start_response(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        await self._client.start_response(status, headers)

    async def send_body(self, data: bytes, *, more: bool) -> None:
        """Send the data, or queue it for `wait_sent` if the flight has followers."""
        if self._writer_task is None and not self._flight.followers:
            await self._client.send_body(data, more=more)
            return
        self._unsent_chunks.append((data, more))
        if self._writer_task is None:
            self._writer_task = asyncio.create_task(self._write_unsent())

    async def wait_sent(self) -> None:
        """Return when the client has taken everything."""
        if self._writer_task is not None:
            await self._writer_task

    async def _write_unsent(self) -> None:
        while self._unsent_chunks:
            data, more = self._unsent_chunks.popleft()
            await self._client.send_body(data, more=more)
        self._writer_task = None


# The client of calls that the gateway makes on its own behalf.


class NullClient:
    """A `Client` that never disconnects and discards the answer."""

    async def read_body(self, limit: int) -> bytes:
        return b""

    async def wait_disconnected(self) -> None:
        await asyncio.Event().wait()

    async def start_response(self, status: int, headers: list[tuple[bytes, bytes]]) -> None: ...
    async def send_body(self, data: bytes, *, more: bool) -> None: ...


# Tracks how much of the answer was sent, so that a fault can still be reported to the client.


class WatchedClient:
    """A client whose sent status and progress are tracked; implements the `Client` port.

    `status`: the one that was sent, 0 before; `is_streaming`: events follow it, not a body of known
    length; `is_finished`: the last bytes were handed over.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self.is_finished = False

    @property
    def is_streaming(self) -> bool:
        return self.status > 0 and not any(name == b"content-length" for name, _ in self._headers)

    async def read_body(self, limit: int) -> bytes:
        return await self._client.read_body(limit)

    async def wait_disconnected(self) -> None:
        await self._client.wait_disconnected()

    async def start_response(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.status, self._headers = status, headers
        await self._client.start_response(status, headers)

    async def send_body(self, data: bytes, *, more: bool) -> None:
        self.is_finished = not more
        await self._client.send_body(data, more=more)
