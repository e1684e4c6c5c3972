"""The stream on its way: each request once, at its tick of a steady rate, and what came back."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import orjson
import uvloop

from benchmarks.openloop import OpenLoop
from benchmarks.questions import chat
from benchmarks.tally import TIER, Tally, read_header
from benchmarks.ticks import ticking
from benchmarks.wire import Request, Wire, connect
from demo.answers import label_in
from evaluation.cache.sets import Query

CONNECTIONS = 32  # more than are busy while answers take no longer than half a second
PATIENCE_SECONDS = 60.0  # for what is still under way after the last tick
COLLAPSED = b"detail=collapsed"


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply, counted from the tick at which its request was `due`.

    `status` 0: none came. `joined`: it shared the call of an identical request under way.
    `label`: of the question that the answer was made for. `completion`: the provider's id of it.
    """

    due: float
    seconds: float
    status: int
    tier: str = ""
    joined: bool = False
    label: str | None = None
    completion: str = ""


class SupportLoop(OpenLoop):
    """Takes connections by turns, so that every worker is asked, and ends after the last request.

    Neither an error nor a lost connection ends it: both are replies.
    """

    def __init__(self, url: str, requests: Sequence[Request], tally: Tally) -> None:
        super().__init__(iter(requests), tally, 0.0)
        self.url, self.left = url, len(requests)
        self.replies: list[Reply] = []
        self.busy: set[Wire] = set()
        self.repairs: set[asyncio.Task[None]] = set()

    def due(self, at: float) -> None:
        if not self.ending:
            self.left -= 1
            super().due(at)
            if not self.left:
                self.stop()

    def take_free(self) -> Wire:
        """The connection that has rested longest."""
        wire = self.free.pop(0)
        self.busy.add(wire)
        return wire

    def check(self, head: bytes, body: bytes, request: Request) -> None:
        """Count whatever the gateway said."""
        if self.tally is not None and TIER in head:
            self.tally.note(head)

    def answered(self, wire: Wire, head: bytes, body: bytes) -> None:
        self.replies.append(
            read_reply(head, body, due=wire.sent, seconds=time.perf_counter() - wire.sent)
        )
        super().answered(wire, head, body)

    def go_on(self, wire: Wire) -> None:
        (self.busy.add if self.waiting else self.busy.discard)(wire)
        super().go_on(wire)

    def lost(self, wire: Wire, error: Exception) -> None:
        """Open another connection in its place."""
        if self.over.done():
            return
        if wire in self.busy:
            self.busy.remove(wire)
            self.give_up(wire.sent)
        else:
            self.free.remove(wire)
        repair = asyncio.ensure_future(self._replace())
        self.repairs.add(repair)
        repair.add_done_callback(self.repairs.discard)

    def give_up(self, due: float) -> None:
        """No reply comes to the request that was due then."""
        self.replies.append(Reply(due, time.perf_counter() - due, 0))
        self.under_way -= 1
        self.end_when_done()

    def give_up_all(self) -> None:
        """What is under way now has no reply."""
        for due in [*(wire.sent for wire in self.busy), *self.waiting]:
            self.give_up(due)

    async def _replace(self) -> None:
        try:
            (wire,) = await connect(self.url, self, 1)
        except OSError as error:
            self.failed(error)
        else:
            self.go_on(wire)


async def send_requests(
    url: str,
    requests: Sequence[Request],
    *,
    rate: float,
    tally: Tally,
    patience: float = PATIENCE_SECONDS,
) -> list[Reply]:
    """Send them in order, `rate` a second; a reply to each, in that order.

    Raises OSError when nobody listens at the URL any more.
    """
    load = SupportLoop(url, requests, tally)
    load.free = await connect(url, load, CONNECTIONS)
    with ticking(rate, load.due):
        await asyncio.wait((load.over,), timeout=len(requests) / rate + patience)
    load.give_up_all()
    load.over.result()
    for wire in (*load.free, *load.busy):
        wire.close()
    return sorted(load.replies, key=lambda reply: reply.due)


def send_questions(
    url: str, asked: Sequence[Query], *, key: str, plan: str | None, rate: float, tally: Tally
) -> list[Reply]:
    """`send_requests` of all questions to a gateway, in an event loop of its own."""
    address = f"{url}/v1/chat/completions"
    requests = [
        chat(address, query.text, key=key, plan=plan, metadata={"label": query.intent})
        for query in asked
    ]
    return uvloop.run(send_requests(address, requests, rate=rate, tally=tally))


def read_reply(head: bytes, body: bytes, *, due: float, seconds: float) -> Reply:
    """What a reply says; its head in lower case."""
    status = int(head.split(None, 2)[1])
    tier = read_header(head, TIER).decode() if TIER in head else ""
    if status != 200:
        return Reply(due, seconds, status, tier)
    said = orjson.loads(body)
    label = label_in(said["choices"][0]["message"]["content"])
    return Reply(due, seconds, status, tier, COLLAPSED in head, label, said["id"])
