"""`UpstreamReply` implementations: peeked at, broadcast by a leader, read by a follower."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from proxy.core.errors import GatewayError, UpstreamInvalid
from proxy.core.flights import Flight

if TYPE_CHECKING:
    from proxy.core.ports import UpstreamReply

MAX_BLANK_BYTES = 64 * 1024  # leading blanks of an answer


async def read_limited(reply: "UpstreamReply", *, limit: int) -> bytes:
    """Read all bytes of a reply and close it.

    Raises UpstreamInvalid beyond the limit, and what its chunks raise.
    """
    body = bytearray()
    try:
        async for data in reply.iter_chunks():
            body += data
            if len(body) > limit:
                raise UpstreamInvalid("The upstream's answer is larger than the limit.")
    finally:
        await reply.close()
    return bytes(body)


class PeekedReply:
    """A provider's answer whose first bytes can be read ahead; `limit` is in bytes."""

    def __init__(self, reply: "UpstreamReply", *, limit: int) -> None:
        self.status, self.headers = reply.status, reply.headers
        self._reply, self._limit = reply, limit
        self._chunks = reply.iter_chunks()
        self._peeked = b""

    async def peek_body(self) -> bytes:
        """Return its beginning without leading blanks; b"" if it is empty."""
        while not self._peeked.lstrip() and len(self._peeked) < MAX_BLANK_BYTES:
            if not (more := await anext(self._chunks, b"")):
                break
            self._peeked += more
        return self._peeked.lstrip()

    async def read_body(self) -> bytes:
        return await read_limited(self, limit=self._limit)

    async def iter_chunks(self) -> AsyncIterator[bytes]:
        if self._peeked:
            yield self._peeked
        async for data in self._chunks:
            yield data

    async def close(self) -> None:
        await self._reply.close()


class BroadcastReply:
    """A provider's stream read by the leader and broadcast to the followers."""

    def __init__(self, reply: "UpstreamReply", flight: Flight) -> None:
        self.status, self.headers = reply.status, reply.headers
        self._reply, self._flight = reply, flight

    async def read_body(self) -> bytes:
        return await self._reply.read_body()

    async def iter_chunks(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._reply.iter_chunks():
                self._flight.publish_part(part)
                yield part
        except GatewayError as error:
            self._flight.end_stream(error)
            raise

    async def close(self) -> None:
        self._flight.end_stream()
        await self._reply.close()


class FollowerReply:
    """A flight's stream as the follower's own answer."""

    status = 200
    headers: Mapping[str, str] = {"content-type": "text/event-stream"}

    def __init__(
        self, flight: Flight, closing: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self.flight = flight
        self._on_close = closing

    async def read_body(self) -> bytes:
        return b"".join([part async for part in self.iter_chunks()])

    def iter_chunks(self) -> AsyncIterator[bytes]:
        return self.flight.iter_parts()

    async def close(self) -> None:
        if self._on_close is not None:
            await self._on_close()
