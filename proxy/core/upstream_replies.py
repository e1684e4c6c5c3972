"""Answers on their way, as `UpstreamReply`s: one whose beginning was looked at, and a stream that several hear, the provider's as its
leader takes it in, and the flight's as a follower does."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from proxy.core.errors import GatewayError, UpstreamInvalid
from proxy.core.flights import Flight

if TYPE_CHECKING:
    from proxy.core.ports import UpstreamReply

MAX_BLANK_BYTES = 64 * 1024  # before an answer begins


async def read_whole(reply: "UpstreamReply", *, limit: int) -> bytes:
    """All bytes of a reply, which is closed however it ends. Raises UpstreamInvalid beyond the limit, and what its chunks raise."""
    body = bytearray()
    try:
        async for data in reply.chunks():
            body += data
            if len(body) > limit:
                raise UpstreamInvalid("The upstream's answer is larger than the limit.")
    finally:
        await reply.close()
    return bytes(body)


class BegunReply:
    """A provider's answer of which the first bytes were read already. Implements the `UpstreamReply` port. `limit`: of bytes."""

    def __init__(self, reply: "UpstreamReply", *, limit: int) -> None:
        self.status, self.headers = reply.status, reply.headers
        self._reply, self._limit = reply, limit
        self._chunks = reply.chunks()
        self._first = b""

    async def peek(self) -> bytes:
        """How it begins, without leading blanks; b"" where it is empty."""
        while not self._first.lstrip() and len(self._first) < MAX_BLANK_BYTES:
            if not (more := await anext(self._chunks, b"")):
                break
            self._first += more
        return self._first.lstrip()

    async def read(self) -> bytes:
        return await read_whole(self, limit=self._limit)

    async def chunks(self) -> AsyncIterator[bytes]:
        if self._first:
            yield self._first
        async for data in self._chunks:
            yield data

    async def close(self) -> None:
        await self._reply.close()


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
