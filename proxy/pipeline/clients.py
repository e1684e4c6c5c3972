"""Clients beside the one on the wire: one that others follow, one that is watched, and none at all."""

import asyncio
from collections import deque

from proxy.core.flights import Flight
from proxy.core.ports import Client

# The leader's client, which is one of many: neither its leaving nor its slow reading stops the
# others.


class Led:
    """Implements the `Client` port. `left`: the leader's own client has gone, whoever else is still there."""

    def __init__(self, client: Client, flight: Flight) -> None:
        self.left = False
        self._client = client
        self._flight = flight
        self._unsent: deque[tuple[bytes, bool]] = deque()
        self._writer: asyncio.Task[None] | None = None

    async def body(self, limit: int) -> bytes:
        return await self._client.body(limit)

    async def gone(self) -> None:
        """Return when nobody is left; nobody can board from then on."""
        await self._client.gone()
        self.left = True
        await self._flight.empty()
        self._flight.abandon()

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        await self._client.start(status, headers)

    async def send(self, data: bytes, *, more: bool) -> None:
        """Wait until the client takes the data, if it is the only one; otherwise that is done beside, until `sent`."""
        if self._writer is None and not self._flight.members:
            await self._client.send(data, more=more)
            return
        self._unsent.append((data, more))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())

    async def sent(self) -> None:
        """Return when the client has taken everything."""
        if self._writer is not None:
            await self._writer

    async def _write(self) -> None:
        while self._unsent:
            data, more = self._unsent.popleft()
            await self._client.send(data, more=more)
        self._writer = None


# The other end of a request that nobody made: what the gateway asks on its own behalf.


class Nobody:
    """A `Client` that never leaves and takes no answer."""

    async def body(self, limit: int) -> bytes:
        return b""

    async def gone(self) -> None:
        await asyncio.Event().wait()

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None: ...
    async def send(self, data: bytes, *, more: bool) -> None: ...


# A client of which is known how much of its answer is out, so that it can still be told of a fault.


class WatchedClient:
    """Implements the `Client` port. `status`: the one that was sent, 0 before; `streams`: events follow it, and not a body of a known
    length; `finished`: the last bytes were handed over."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self.finished = False

    @property
    def streams(self) -> bool:
        return self.status > 0 and not any(name == b"content-length" for name, _ in self._headers)

    async def body(self, limit: int) -> bytes:
        return await self._client.body(limit)

    async def gone(self) -> None:
        await self._client.gone()

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.status, self._headers = status, headers
        await self._client.start(status, headers)

    async def send(self, data: bytes, *, more: bool) -> None:
        self.finished = not more
        await self._client.send(data, more=more)
