"""Identical requests in flight share one call: the first leads, those that come before it has landed follow.

    board -> begin -> publish ... -> end -> land -> close          (whoever leads)
    board -> heard -> the landing, or the parts as they arrive -> leave          (whoever follows)

A flight belongs to all its members: a leader whose client left flies on while others wait
(`proxy.pipeline.clients`). It ends in a landing, which is an answer for everybody, or in none: then
the first who asks again leads anew. Errors are landings too, so a failing provider gets one call
from a crowd and not one from each.
"""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.core.errors import GatewayError

if TYPE_CHECKING:
    from proxy.core.answers import Refused, Stored, Whole

# A request that looked into the cache just before the answer was stored may board this much later, and must not call again.
LINGER = 2.0
BATCH_PARTS = 256
BATCH_BYTES = 256 * 1024  # who joins a long flight late reads it in batches of about so much


@dataclass(frozen=True, slots=True)
class Landing:
    """How a flight ended. `answer` None: nobody asked to the end. `called`: the answer is a provider's, not one that the leader found
    in a cache after all. `alone`: the leader has an answer that is no one else's, so each who waited makes its own call."""

    answer: "Stored | Whole | Refused | None" = None
    called: bool = True
    alone: bool = False


class Flight:
    """One call and all who wait for it. `parts`: the stream so far, as it came; `live`: a stream has begun; `cut`: tokens that the leader
    cut from the prompt; `members`: who follows, the leader not counted; `closed_at`: who arrives later flies alone;
    `revision`: of the configuration that the leader came under."""

    def __init__(self, key: str, revision: int = 0) -> None:
        self.key = key
        self.revision = revision
        self.parts: list[bytes] = []
        self.live = False
        self.cut = 0
        self.members = 0
        self.closed_at = math.inf
        self.landing: Landing | None = None
        self._over = False
        self._error: GatewayError | None = None
        self._news = asyncio.Event()

    def begin(self, *, cut: int) -> None:
        """A stream arrives; `cut` tokens had been cut from what it answers."""
        self.live, self.cut = True, cut
        self._tell()

    def publish(self, part: bytes) -> None:
        self.parts.append(part)
        self._tell()

    def end(self, error: GatewayError | None = None) -> None:
        """No more parts will come, as the error says or because the stream is over."""
        if not self._over:
            self._over, self._error = True, error
            self._tell()

    def land(self, landing: Landing) -> None:
        """Everybody has an answer now; the first landing counts."""
        if self.landing is None:
            self.landing = landing
            self.end()
            self._tell()

    def abandon(self) -> None:
        """Nobody asks the provider any more: who still waits has to ask anew. Nothing happens to a flight that has landed."""
        if self.landing is None:
            self.closed_at = -math.inf
            self.land(Landing())

    def leave(self) -> None:
        """One follower less."""
        self.members -= 1
        self._tell()

    async def empty(self) -> None:
        """Return when nobody follows."""
        while self.members:
            await self._news.wait()

    async def heard(self, *, live: bool) -> Landing | None:
        """The landing; or None as soon as a stream begins, for who can take one."""
        while self.landing is None and not (live and self.live):
            await self._news.wait()
        return None if live and self.live else self.landing

    async def batches(self, begin: int = 0) -> AsyncIterator[list[bytes]]:
        """The parts from number `begin` to the last, those that are here already together as far as a batch goes. Raises what ended the
        stream."""
        while True:
            if parts := self._batch(begin):
                begin += len(parts)
                yield parts
            elif not self._over:
                await self._news.wait()
            elif self._error is not None:
                raise self._error
            else:
                return

    def _batch(self, begin: int) -> list[bytes]:
        parts, size = self.parts[begin : begin + BATCH_PARTS], 0
        for number, part in enumerate(parts, 1):
            size += len(part)
            if size >= BATCH_BYTES:
                return parts[:number]
        return parts

    async def stream(self) -> AsyncIterator[bytes]:
        """All of the parts as bytes."""
        async for parts in self.batches():
            yield b"".join(parts)

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


class Flights:
    """The flights of one worker, by key. Times by the monotonic clock."""

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}
        self._closed: deque[Flight] = deque()

    def __len__(self) -> int:
        return len(self._flights)

    def get(self, key: str) -> Flight | None:
        return self._flights.get(key)

    def board(self, key: str, *, arrived: float, revision: int = 0) -> tuple[Flight, bool]:
        """The flight for a request that arrived then, and whether it leads it; `revision`: of the configuration it came under. A follower
        has to `leave`, a leader to `close`."""
        self._sweep(arrived)
        flight = self._flights.get(key)
        if flight is not None and arrived < flight.closed_at:
            flight.members += 1
            return flight, False
        flight = self._flights[key] = Flight(key, revision)
        return flight, True

    def close(self, flight: Flight, *, now: float) -> None:
        """The leader is done, and its answer is stored: who arrives from now on flies alone."""
        flight.abandon()
        flight.closed_at = min(flight.closed_at, now)
        if flight.landing is not None and flight.landing.answer is not None:
            self._closed.append(flight)
        else:
            self._drop(flight)

    def _sweep(self, now: float) -> None:
        while self._closed and self._closed[0].closed_at + LINGER < now:
            self._drop(self._closed.popleft())

    def _drop(self, flight: Flight) -> None:
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]
