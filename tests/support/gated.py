"""An upstream that answers when a test lets it: what is in flight stays in flight until then."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import orjson

from proxy.core.config import ProviderEndpoint
from proxy.core.errors import UpstreamTimeout
from proxy.core.formats import sse
from proxy.core.upstream_headers import HeaderPairs
from tests.support.fakes import FakeReply, FakeUpstream, World

STREAM = {"content-type": "text/event-stream"}


@dataclass
class GatedReply(FakeReply):
    """Gives its first part at once and the rest when the gate opens."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def iter_chunks(self) -> AsyncIterator[bytes]:
        yield self.data[0]
        await self.gate.wait()
        for part in self.data[1:]:
            yield part
        if self.error:
            raise self.error


@dataclass
class GatedUpstream(FakeUpstream):
    """Answers when the gate opens; streams give their first part before."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    breaks: bool = False
    stopped: int = 0

    async def send(
        self,
        target: ProviderEndpoint,
        body: bytes,
        *,
        request_id: str,
        stream: bool,
        trace: str = "",
        forwarded: HeaderPairs = (),
    ) -> FakeReply:
        if stream:
            self.bodies.append(orjson.loads(body))
            parts = list(sse.replay_completion(self.says, include_usage=True))
            if self.breaks:
                return GatedReply(
                    200,
                    STREAM,
                    parts[:2],
                    UpstreamTimeout("The upstream fell silent."),
                    gate=self.gate,
                )
            return GatedReply(200, STREAM, parts, gate=self.gate)
        try:
            self.bodies.append(orjson.loads(body))
            await self.gate.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        if self.error:
            raise self.error
        return FakeReply(200, {"content-type": "application/json"}, [orjson.dumps(self.says)])


def gate(world: World) -> asyncio.Event:
    assert isinstance(world.upstream, GatedUpstream)
    return world.upstream.gate


async def settled() -> None:
    for _ in range(50):
        await asyncio.sleep(0)
