"""Many streams open at once, each sending chunks on a schedule:
is every chunk there, in order, and how late?

The upstream (`mock_providers.fast`) writes into each chunk its number and when it was due, by the
clock that all processes of a machine share, so lateness is what the client's clock says at arrival
less that.
"""

import asyncio
import itertools
import re
import time
from collections.abc import Callable
from functools import partial
from typing import cast

import uvloop

from benchmarks import load, machine
from benchmarks.bench import PLAN, Bench
from benchmarks.questions import fresh
from benchmarks.tally import Tally
from benchmarks.wire import HEAD_END, LAST_CHUNK, Request, Requests, address

STREAMS, EVERY_MS, CHUNKS = 300, 100, 100
SPREAD = 4.0  # seconds over which the streams are opened
ALL_OPEN = 5.0  # seconds thereafter, in which all of them are
CHUNK = re.compile(rb"#(\d+) (\d+)#")
END = b"data: [DONE]"


class ChunkLost(Exception):
    """A stream ended early, or a chunk was missing or out of order."""


class StreamWire(asyncio.Protocol):
    """One streamed request, over when its last bytes are here.

    `late`: of each chunk, in seconds.
    """

    def __init__(self, request: Request, tally: Tally | None) -> None:
        self._request, self._tally = request, tally
        self._held = b""
        self._head = False
        self.late: list[float] = []
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request.payload)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        try:
            self._take(self._held + data, now)
        except Exception as error:
            self._end(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or ChunkLost("the connection closed in mid-stream"))

    def _take(self, data: bytes, now: int) -> None:
        if not self._head:
            head, found, data = data.partition(HEAD_END)
            if not found:
                self._held = head
                return
            self._begin(head.lower())
        read = 0
        for match in CHUNK.finditer(data):
            if int(match[1]) != len(self.late):
                raise ChunkLost(f"chunk {match[1].decode()} came where {len(self.late)} was due")
            self.late.append((now - int(match[2])) / 1e9)
            read = match.end()
        self._held = data[read:]
        # A client that left at [DONE] would be one that left early.
        if END in self._held and self._held.endswith(LAST_CHUNK):
            self._end(
                None
                if len(self.late) == CHUNKS
                else ChunkLost(f"{len(self.late)} chunks of {CHUNKS}")
            )

    def _begin(self, head: bytes) -> None:
        if not head.startswith(load.OK):
            raise ChunkLost(f"an answer that is not 200: {head[:200]!r}")
        self._head = True
        if self._tally is not None:
            self._tally.note(head)

    def _end(self, error: Exception | None) -> None:
        if self.over.done():
            return
        if error is None:
            self.over.set_result(None)
            self._transport.close()
        else:
            self.over.set_exception(error)


async def _open(
    url: str, requests: Requests, tally: Tally | None, cpu: Callable[[], float]
) -> tuple[float, float]:
    """The latest chunk in seconds, and the cores that `cpu` says were busy
    while all streams were open."""
    loop, (host, port) = asyncio.get_running_loop(), address(url)
    wires: list[StreamWire] = []
    for request in itertools.islice(requests, STREAMS):
        _, wire = await loop.create_connection(partial(StreamWire, request, tally), host, port)
        wires.append(wire)
        await asyncio.sleep(SPREAD / STREAMS)
    used, begun = cpu(), time.perf_counter()
    await asyncio.sleep(ALL_OPEN)
    busy = (cpu() - used) / (time.perf_counter() - begun)
    await asyncio.gather(*(wire.over for wire in wires))
    return max(late for wire in wires for late in wire.late), busy


def measure(bench: Bench) -> dict[str, float]:
    """New questions with a full plan, as streams:
    the latest of all chunks against its schedule, with the gateway and without it."""
    paced = {"stream": True, "stream_options": {"include_usage": True}}
    paced["metadata"] = {"chunks": str(CHUNKS), "every_ms": str(EVERY_MS)}
    alone, _ = uvloop.run(_open(bench.direct, fresh(bench.direct, **paced), None, lambda: 0.0))
    through, busy = uvloop.run(
        _open(
            bench.chat,
            bench.fresh(plan=PLAN, **paced),
            bench.tally,
            lambda: machine.cpu_seconds(bench.pid),
        )
    )
    return {
        "stream_late_ms": 1000 * through,
        "stream_alone_late_ms": 1000 * alone,
        "stream_cores": busy,
    }
