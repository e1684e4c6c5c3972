"""Coalesce identical requests in flight into one upstream call: leader and followers.

join -> begin_stream -> publish_part ... -> end_stream -> complete -> close_flight   (leader)
join -> wait -> the result, or the parts as they arrive -> remove_follower           (follower)
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.core.errors import GatewayError

if TYPE_CHECKING:
    from proxy.core.answers import CachedAnswer, CompleteAnswer, ErrorAnswer

# A flight belongs to all its members: a leader whose client disconnected goes on while others wait
# (`proxy.pipeline.clients`). It ends with an answer for everybody, or with none: then the
# first follower to ask again leads a new one. Errors are answers too, so a failing provider gets
# one call from a crowd and not one from each.

LATE_JOIN_SECONDS = 2.0
MAX_BATCH_PARTS = 256
MAX_BATCH_BYTES = 256 * 1024  # late followers of a long stream read batches of about this size


@dataclass(frozen=True, slots=True)
class FlightResult:
    """How a flight ended."""

    # None: the leader gave up.
    answer: "CachedAnswer | CompleteAnswer | ErrorAnswer | None" = None
    # The answer is the provider's, not one that the leader found in a cache after all.
    was_called: bool = True
    # The answer is the leader's only, so each follower makes its own call.
    is_unshared: bool = False


class Flight:
    """One upstream call and all who wait for it."""

    def __init__(self, key: str, revision: int = 0) -> None:
        self.key = key
        # Of the leader's configuration.
        self.revision = revision
        # The stream so far, as it came.
        self.parts: list[bytes] = []
        self.has_stream = False
        # Tokens that the leader's compression removed from the prompt.
        self.removed_tokens = 0
        # Without the leader.
        self.followers = 0
        # Requests that arrive later do not join.
        self.closed_at = math.inf
        self.result: FlightResult | None = None
        self._has_ended = False
        self._error: GatewayError | None = None
        self._change_event = asyncio.Event()

    def begin_stream(self, *, cut: int) -> None:
        """Announce a stream, in answer to a prompt with `cut` tokens removed."""
        self.has_stream, self.removed_tokens = True, cut
        self._notify()

    def publish_part(self, part: bytes) -> None:
        self.parts.append(part)
        self._notify()

    def end_stream(self, error: GatewayError | None = None) -> None:
        """End the stream, with an error if it broke off."""
        if error is not None:
            self.refuse_later_requests()
        if not self._has_ended:
            self._has_ended, self._error = True, error
            self._notify()

    def refuse_later_requests(self) -> None:
        """Let requests that arrive from now on make a call of their own."""
        # Who asks again because the call failed must not get the same failure again.
        self.closed_at = min(self.closed_at, time.monotonic())

    def complete(self, landing: FlightResult) -> None:
        """Set the result for everybody; only the first one counts."""
        if self.result is None:
            self.result = landing
            self.end_stream()
            self._notify()

    def abandon(self) -> None:
        """End a flight without an answer, so that followers ask again; no-op once complete."""
        if self.result is None:
            self.closed_at = -math.inf
            self.complete(FlightResult())

    def remove_follower(self) -> None:
        """Remove one follower."""
        self.followers -= 1
        self._notify()

    async def wait_until_empty(self) -> None:
        """Wait until there are no followers."""
        while self.followers:
            await self._change_event.wait()

    async def wait(self, *, live: bool) -> FlightResult | None:
        """Wait for the result; with `live`, return None as soon as a stream begins."""
        while self.result is None and not (live and self.has_stream):
            await self._change_event.wait()
        return None if live and self.has_stream else self.result

    async def iter_batches(self, begin: int = 0) -> AsyncIterator[list[bytes]]:
        """Yield the parts from number `begin` on, in batches of what has arrived.

        Raises the error that ended the stream.
        """
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
        """Yield all parts as bytes."""
        async for parts in self.iter_batches():
            yield b"".join(parts)

    def _notify(self) -> None:
        self._change_event.set()
        self._change_event = asyncio.Event()


class FlightRegistry:
    """The flights of one worker, by key; times are monotonic."""

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}
        self._closed_flights: deque[Flight] = deque()

    def __len__(self) -> int:
        return len(self._flights)

    def get(self, key: str) -> Flight | None:
        return self._flights.get(key)

    def join(self, key: str, *, arrived: float, revision: int = 0) -> tuple[Flight, bool]:
        """Return the flight for a request that arrived then, and whether it leads it.

        `revision`: of its configuration. A follower must `remove_follower`, a leader
        `close_flight`.
        """
        self._drop_expired(arrived)
        flight = self._flights.get(key)
        if flight is not None and arrived < flight.closed_at:
            flight.followers += 1
            return flight, False
        flight = self._flights[key] = Flight(key, revision)
        return flight, True

    def close_flight(self, flight: Flight, *, now: float) -> None:
        """Close a flight whose answer is stored: requests that arrive from now on do not join."""
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
