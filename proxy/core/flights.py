"""Identical requests in flight share one call:
the first leads, those that come before it has landed follow.

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
    from proxy.core.answers import CachedAnswer, CompleteAnswer, ErrorAnswer

# A request that looked into the cache just before the answer was stored may board this much later,
# and must not call again.
LATE_JOIN_SECONDS = 2.0
MAX_BATCH_PARTS = 256
MAX_BATCH_BYTES = 256 * 1024  # who joins a long flight late reads it in batches of about so much


@dataclass(frozen=True, slots=True)
class FlightResult:
    """How a flight ended.

    `answer` None: nobody asked to the end. `was_called`: the answer is a provider's, not one that
    the leader found in a cache after all. `is_unshared`: the leader has an answer that is no one
    else's, so each who waited makes its own call.
    """

    answer: "CachedAnswer | CompleteAnswer | ErrorAnswer | None" = None
    was_called: bool = True
    is_unshared: bool = False


class Flight:
    """One call and all who wait for it.

    `parts`: the stream so far, as it came; `has_stream`: a stream has begun; `removed_tokens`:
    tokens that the leader cut from the prompt; `followers`: who follows, the leader not counted;
    `closed_at`: who arrives later flies alone; `revision`: of the configuration that the leader
    came under.
    """

    def __init__(self, key: str, revision: int = 0) -> None:
        self.key = key
        self.revision = revision
        self.parts: list[bytes] = []
        self.has_stream = False
        self.removed_tokens = 0
        self.followers = 0
        self.closed_at = math.inf
        self.result: FlightResult | None = None
        self._has_ended = False
        self._error: GatewayError | None = None
        self._change_event = asyncio.Event()

    def begin_stream(self, *, cut: int) -> None:
        """A stream arrives; `cut` tokens had been cut from what it answers."""
        self.has_stream, self.removed_tokens = True, cut
        self._notify()

    def publish_part(self, part: bytes) -> None:
        self.parts.append(part)
        self._notify()

    def end_stream(self, error: GatewayError | None = None) -> None:
        """No more parts will come, as the error says or because the stream is over."""
        if not self._has_ended:
            self._has_ended, self._error = True, error
            self._notify()

    def complete(self, landing: FlightResult) -> None:
        """Everybody has an answer now; the first landing counts."""
        if self.result is None:
            self.result = landing
            self.end_stream()
            self._notify()

    def abandon(self) -> None:
        """Nobody asks the provider any more: who still waits has to ask anew.

        Nothing happens to a flight that has landed.
        """
        if self.result is None:
            self.closed_at = -math.inf
            self.complete(FlightResult())

    def remove_follower(self) -> None:
        """One follower less."""
        self.followers -= 1
        self._notify()

    async def wait_until_empty(self) -> None:
        """Return when nobody follows."""
        while self.followers:
            await self._change_event.wait()

    async def wait(self, *, live: bool) -> FlightResult | None:
        """The landing; or None as soon as a stream begins, for who can take one."""
        while self.result is None and not (live and self.has_stream):
            await self._change_event.wait()
        return None if live and self.has_stream else self.result

    async def iter_batches(self, begin: int = 0) -> AsyncIterator[list[bytes]]:
        """The parts from number `begin` to the last, those
        that are here already together as far as a batch goes. Raises what ended the stream."""
        while True:
            if parts := self._next_batch(begin):
                begin += len(parts)
                yield parts
            elif not self._has_ended:
                await self._change_event.wait()
            elif self._error is not None:
                raise self._error
            else:
                return

    def _next_batch(self, begin: int) -> list[bytes]:
        parts, size = self.parts[begin : begin + MAX_BATCH_PARTS], 0
        for number, part in enumerate(parts, 1):
            size += len(part)
            if size >= MAX_BATCH_BYTES:
                return parts[:number]
        return parts

    async def iter_parts(self) -> AsyncIterator[bytes]:
        """All of the parts as bytes."""
        async for parts in self.iter_batches():
            yield b"".join(parts)

    def _notify(self) -> None:
        self._change_event.set()
        self._change_event = asyncio.Event()


class FlightRegistry:
    """The flights of one worker, by key. Times by the monotonic clock."""

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}
        self._closed_flights: deque[Flight] = deque()

    def __len__(self) -> int:
        return len(self._flights)

    def get(self, key: str) -> Flight | None:
        return self._flights.get(key)

    def join(self, key: str, *, arrived: float, revision: int = 0) -> tuple[Flight, bool]:
        """The flight for a request that arrived then, and whether it leads it;
        `revision`: of the configuration it came under. A follower has to `remove_follower`, a
        leader to `close_flight`."""
        self._drop_expired(arrived)
        flight = self._flights.get(key)
        if flight is not None and arrived < flight.closed_at:
            flight.followers += 1
            return flight, False
        flight = self._flights[key] = Flight(key, revision)
        return flight, True

    def close_flight(self, flight: Flight, *, now: float) -> None:
        """The leader is done, and its answer is stored: who arrives from now on flies alone."""
        flight.abandon()
        flight.closed_at = min(flight.closed_at, now)
        if flight.result is not None and flight.result.answer is not None:
            self._closed_flights.append(flight)
        else:
            self._drop_flight(flight)

    def _drop_expired(self, now: float) -> None:
        while self._closed_flights and self._closed_flights[0].closed_at + LATE_JOIN_SECONDS < now:
            self._drop_flight(self._closed_flights.popleft())

    def _drop_flight(self, flight: Flight) -> None:
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]
