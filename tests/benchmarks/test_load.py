"""The load generators against a server of a few lines, over real sockets."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from benchmarks.load import ClosedLoop
from benchmarks.openloop import sending
from benchmarks.questions import chat
from benchmarks.streams import CHUNKS, ChunkLost, StreamWire
from benchmarks.ticks import ticking
from benchmarks.wire import Request, connect
from mock_providers.fast import Ledger, Upstream


class Stalling(Upstream):
    """Stops for a moment at its hundredth request, and everything with it."""

    seen = 0

    def data_received(self, data: bytes) -> None:
        Stalling.seen += 1
        if Stalling.seen == 100:
            time.sleep(0.2)  # what a stalled server does
        super().data_received(data)


@asynccontextmanager
async def served(kind: type[Upstream] = Upstream) -> AsyncIterator[tuple[str, Ledger]]:
    ledger = Ledger()
    server = await asyncio.get_running_loop().create_server(lambda: kind(ledger), "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/chat/completions", ledger


async def closed(url: str, requests: list[Request], connections: int) -> ClosedLoop:
    load = ClosedLoop(iter(requests), None, 0.0, float("inf"))
    load.start(await connect(url, load, connections))
    await asyncio.wait_for(load.over, 5)
    return load


async def test_a_closed_loop_sends_everything_once() -> None:
    async with served() as (url, ledger):
        load = await closed(url, [chat(url, f"What is {number}?") for number in range(50)], 4)
        assert len(load.times) == ledger.seen["requests"] == 50


async def test_an_answer_to_another_question_ends_the_load() -> None:
    async with served() as (url, _):
        payload, _ = chat(url, "Where is my lamp?")
        with pytest.raises(RuntimeError, match="not the answer"):
            await closed(url, [Request(payload, b"Where is my chair?")], 1)


async def test_an_open_loop_keeps_its_rate() -> None:
    async with served() as (url, ledger):
        found = await sending(
            url, itertools.repeat(chat(url, "Why?")), rate=200, seconds=0.5, warm=0.1
        )
        assert found.rps == pytest.approx(200, rel=0.2)
        assert ledger.seen["requests"] >= found.rps * 0.5


async def test_a_server_that_stalls_is_charged_for_all_that_waited() -> None:
    async with served(Stalling) as (url, _):
        found = await sending(
            url, itertools.repeat(chat(url, "Why?")), rate=500, seconds=1.0, warm=0.0
        )
        assert found.p99 > 100  # of 500 requests a hundred waited, the first of them for 0.2 s


async def test_ticks_are_told_when_they_were_due_and_none_is_lost() -> None:
    told: list[float] = []
    with ticking(1000, told.append):
        await asyncio.sleep(0.02)
        time.sleep(0.05)  # noqa: ASYNC251 - the loop is held up
        await asyncio.sleep(0.02)
    assert len(told) > 60
    assert all(later - sooner == pytest.approx(0.001) for sooner, later in itertools.pairwise(told))


class Silent(asyncio.Transport):
    """A transport to nobody."""

    def write(self, data: object) -> None: ...

    def close(self) -> None: ...


def stream(chunks: int) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    body = (
        b"".join(
            b'data: {"content":"#%d %d# "}\n\n' % (place, time.monotonic_ns())
            for place in range(chunks)
        )
        + b"data: [DONE]\n\n"
    )
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


@pytest.mark.parametrize("size", [7, 100_000])
async def test_a_stream_counts_its_chunks_in_pieces_of_any_size(size: int) -> None:
    wire, sent = StreamWire(Request(b""), None), stream(CHUNKS)
    wire.connection_made(Silent())
    for start in range(0, len(sent), size):
        wire.data_received(sent[start : start + size])
    assert wire.over.done()
    assert len(wire.late) == CHUNKS


async def test_a_stream_that_lacks_a_chunk_is_told() -> None:
    wire = StreamWire(Request(b""), None)
    wire.connection_made(Silent())
    wire.data_received(stream(CHUNKS).replace(b"#5 ", b"#6 ", 1))
    with pytest.raises(ChunkLost, match="chunk 6 came where 5 was due"):
        await wire.over
