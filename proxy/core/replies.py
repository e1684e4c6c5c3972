"""A stream that several hear: the provider's as its leader takes it in, and the flight's as a follower does. Both are `UpstreamReply`s."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from proxy.core.errors import GatewayError
from proxy.core.flights import Flight

if TYPE_CHECKING:
    from proxy.core.ports import UpstreamReply


class Overheard:
    """A provider's live answer to the leader, which all who follow hear too. Implements the `UpstreamReply` port."""

    def __init__(self, reply: "UpstreamReply", flight: Flight) -> None:
        self.status, self.headers = reply.status, reply.headers
        self._reply, self._flight = reply, flight

    async def read(self) -> bytes:
        return await self._reply.read()

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._reply.chunks():
                self._flight.publish(part)
                yield part
        except GatewayError as error:
            self._flight.end(error)
            raise

    async def close(self) -> None:
        self._flight.end()
        await self._reply.close()


class Followed:
    """A flight's stream as an answer of one's own. Implements the `UpstreamReply` port."""

    status = 200
    headers: Mapping[str, str] = {"content-type": "text/event-stream"}

    def __init__(self, flight: Flight, closing: Callable[[], Awaitable[None]] | None = None) -> None:
        self.flight = flight
        self._closing = closing

    async def read(self) -> bytes:
        return b"".join([part async for part in self.chunks()])

    def chunks(self) -> AsyncIterator[bytes]:
        return self.flight.stream()

    async def close(self) -> None:
        if self._closing is not None:
            await self._closing()
