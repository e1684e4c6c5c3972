"""Closed-loop load: so many connections, each sending its next request
when the last answer is complete.

    run(url, requests) -> Measured

What a connection does not send while it waits is not measured: for latencies under a given rate see
`openloop`.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import uvloop

from benchmarks.tally import Tally
from benchmarks.wire import Request, Requests, Wire, connect

OK = b"http/1.1 200"


@dataclass(frozen=True, slots=True)
class Measured:
    """Requests a second, and latencies in milliseconds."""

    rps: float
    p50: float
    p99: float

    @classmethod
    def of(cls, times: Sequence[float], seconds: float) -> "Measured":
        """From each request's seconds and how long all took. Nearest-rank percentiles."""
        ranked = sorted(times)
        return cls(
            len(ranked) / seconds,
            *(1000 * ranked[math.ceil(share * len(ranked)) - 1] for share in (0.5, 0.99)),
        )


class Load:
    """Checks and counts answers; what is sent when is the subclass's business.

    `over`: done, or why it broke off.
    """

    def __init__(self, requests: Requests, tally: Tally | None) -> None:
        self.requests, self.tally = requests, tally
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def opened(self, wire: Wire) -> None:
        """Nothing is sent before all connections are open."""

    def check(self, head: bytes, body: bytes, request: Request) -> None:
        """Raises RuntimeError when the answer is no 200 or was made for another question."""
        if not head.startswith(OK) or request.sign not in body:
            raise RuntimeError(
                f"not the answer to {request.payload[-200:]!r}: {head[:200]!r} {body[:300]!r}"
            )
        if self.tally is not None:
            self.tally.note(head)

    def failed(self, error: Exception) -> None:
        if not self.over.done():
            self.over.set_exception(error)

    def lost(self, wire: Wire, error: Exception) -> None:
        """A load breaks off with its first connection."""
        self.failed(error)

    def answered(self, wire: Wire, head: bytes, body: bytes) -> None:
        raise NotImplementedError


class ClosedLoop(Load):
    """Measures answers that come between `begin` and `end`;
    over when the last ones have come, or when there is nothing left to send."""

    def __init__(self, requests: Requests, tally: Tally | None, begin: float, end: float) -> None:
        super().__init__(requests, tally)
        self.begin, self.end = begin, end
        self.times: list[float] = []
        self.busy = 0

    def start(self, wires: Sequence[Wire]) -> None:
        self.busy = len(wires)
        for wire in wires:
            wire.send(next(self.requests), time.perf_counter())

    def answered(self, wire: Wire, head: bytes, body: bytes) -> None:
        now = time.perf_counter()
        self.check(head, body, wire.request)
        if self.begin <= now < self.end:
            self.times.append(now - wire.sent)
        following = next(self.requests, None) if now < self.end else None
        if following is not None:
            wire.send(following, now)
            return
        self.busy -= 1
        if not self.busy and not self.over.done():
            self.over.set_result(None)


async def _send(url: str, load: Callable[[], ClosedLoop], connections: int) -> list[float]:
    loop = load()
    wires = await connect(url, loop, connections)
    loop.start(wires)
    await loop.over
    for wire in wires:
        wire.close()
    return loop.times


def run(
    url: str,
    requests: Requests,
    *,
    tally: Tally | None = None,
    connections: int = 16,
    seconds: float = 5.0,
    warm: float = 1.0,
) -> Measured:
    """Send for `warm` seconds, then measure for `seconds`.

    Raises RuntimeError or OSError when an answer is wrong or missing.
    """
    begin = time.perf_counter() + warm
    times = uvloop.run(
        _send(url, lambda: ClosedLoop(requests, tally, begin, begin + seconds), connections)
    )
    return Measured.of(times, seconds)


def send_all(
    url: str, requests: Sequence[Request], *, tally: Tally | None = None, connections: int = 8
) -> None:
    """Send each once, if there are any. Raises as `run` does."""
    if not requests:
        return
    uvloop.run(
        _send(
            url,
            lambda: ClosedLoop(iter(requests), tally, math.inf, math.inf),
            min(connections, len(requests)),
        )
    )
