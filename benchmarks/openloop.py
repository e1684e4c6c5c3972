"""Open-loop load: a request at each tick of a steady rate,
whether or not the earlier ones were answered.

Latencies count from the tick, so that a server that stalls is charged for every request it kept
from being sent ("coordinated omission", Gil Tene, "How NOT to measure latency").
"""

import asyncio
import time
from collections import deque

import uvloop

from benchmarks.load import Load, Measured
from benchmarks.tally import Tally
from benchmarks.ticks import ticking
from benchmarks.wire import Requests, Wire, connect

CONNECTIONS = 64  # far more than are ever busy


class OpenLoop(Load):
    """Sends over whichever connection is free; without one,
    the request waits and its clock runs."""

    def __init__(self, requests: Requests, tally: Tally | None, begin: float) -> None:
        super().__init__(requests, tally)
        self.begin = begin
        self.free: list[Wire] = []
        self.waiting: deque[float] = deque()
        self.under_way = 0
        self.ending = False
        self.times: list[float] = []

    def due(self, at: float) -> None:
        if self.ending:
            return
        self.under_way += 1
        if self.free:
            self.take_free().send(next(self.requests), at)
        else:
            self.waiting.append(at)

    def take_free(self) -> Wire:
        """The connection used last: few are ever busy, and those stay warm."""
        return self.free.pop()

    def answered(self, wire: Wire, head: bytes, body: bytes) -> None:
        now = time.perf_counter()
        self.check(head, body, wire.request)
        if wire.sent >= self.begin:
            self.times.append(now - wire.sent)
        self.under_way -= 1
        self.go_on(wire)
        self.end_when_done()

    def go_on(self, wire: Wire) -> None:
        """Send what waits for a connection over this one, or keep it free."""
        if self.waiting:
            wire.send(next(self.requests), self.waiting.popleft())
        else:
            self.free.append(wire)

    def end_when_done(self) -> None:
        if self.ending and not self.under_way and not self.over.done():
            self.over.set_result(None)

    def stop(self) -> None:
        self.ending = True
        self.end_when_done()


async def sending(
    url: str,
    requests: Requests,
    *,
    rate: float,
    seconds: float,
    tally: Tally | None = None,
    warm: float = 1.0,
) -> Measured:
    """Send at `rate` a second for `warm` and then `seconds`, which are measured.

    Raises RuntimeError or OSError as `load.run` does.
    """
    load = OpenLoop(requests, tally, time.perf_counter() + warm)
    wires = await connect(url, load, CONNECTIONS)
    load.free = list(wires)
    with ticking(rate, load.due):
        await asyncio.wait((load.over,), timeout=warm + seconds)
        load.stop()
        await load.over
    for wire in wires:
        wire.close()
    return Measured.of(load.times, seconds)


def run(
    url: str, requests: Requests, *, rate: float, seconds: float, tally: Tally | None = None
) -> Measured:
    """`sending` in an event loop of its own."""
    return uvloop.run(sending(url, requests, rate=rate, seconds=seconds, tally=tally))
