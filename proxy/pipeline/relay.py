"""Pass a live stream on, chunk by chunk as it arrives, and keep what it said."""

import time

import orjson

from proxy.core import sse
from proxy.core.errors import ClientGone, GatewayError, UpstreamInvalid
from proxy.core.exchange import Call, Live, revise
from proxy.core.headers import STREAM, decision_headers
from proxy.core.leaving import until_gone
from proxy.core.ports import Toolbox
from proxy.core.usage import UsageReader


async def relay(call: Call, tools: Toolbox) -> Call:
    """Relay to the end. A stream that breaks off ends in an error event and without `[DONE]`; one that ended whole becomes a completion."""
    answer = call.answer
    if not isinstance(answer, Live):
        return call
    call = revise(call, status=200, overhead_seconds=call.overhead(time.monotonic()))
    begun = time.monotonic()
    heard, told = sse.Collector(), UsageReader()
    try:
        async with until_gone(call.client):
            await call.client.start(200, [*STREAM, *decision_headers(call, time.time())])
            call, last = await _pass_on(call, answer, heard, told, tools)
        # Outside the watch: a server may report the end of the response as the client's leaving.
        await call.client.send(last, more=False)
    except ClientGone:
        call = revise(call, outcome="client_closed")
    finally:
        await answer.reply.close()
    usage = told.usage(call.target.upstream.provider) or call.usage
    return revise(call, completion=heard.completion(), usage=usage, upstream_seconds=call.upstream_seconds + time.monotonic() - begun)


async def _pass_on(call: Call, answer: Live, heard: sse.Collector, told: UsageReader, tools: Toolbox) -> tuple[Call, bytes]:
    """Relay all but the last bytes, which are returned: nothing after a whole stream, an error event after one that broke off."""
    decoder, size = sse.Decoder(), 0
    try:
        async for data in answer.reply.chunks():
            size += len(data)
            if size > tools.limits.upstream_bytes:
                raise UpstreamInvalid("The upstream's stream does not end.")
            if shown := _shown(decoder.feed(data), heard, told, call.asked.include_usage):
                await call.client.send(shown, more=True)
            if heard.ended:
                break
        else:
            if shown := _shown(decoder.flush(), heard, told, call.asked.include_usage):
                await call.client.send(shown, more=True)
    except (GatewayError, sse.BadStream) as error:
        return _cut(call, error)
    if heard.error is not None:
        return revise(call, outcome="upstream_error"), b""
    if not heard.ended and not heard.whole:
        return _cut(call, UpstreamInvalid("The upstream's stream broke off."))
    return call, b""


def _shown(events: list[sse.Event], heard: sse.Collector, told: UsageReader, include_usage: bool) -> bytes:
    """The events the client is to see: all but the usage that only we asked for."""
    return b"".join(event.raw for event in events if _take(event, heard, told) or include_usage)


def _take(event: sse.Event, heard: sse.Collector, told: UsageReader) -> bool:
    """Take one event in; whether a client that did not ask for usage sees it. Raises BadStream."""
    if event.done:
        heard.ended = True
        return True
    if not event.data:
        return True
    try:
        chunk = orjson.loads(event.data)
    except orjson.JSONDecodeError:
        raise sse.BadStream("an event that is not JSON") from None
    if not isinstance(chunk, dict):
        raise sse.BadStream("an event that is no object")
    told.take(chunk)
    heard.add(chunk)
    return not (isinstance(chunk.get("usage"), dict) and not chunk.get("choices"))


def _cut(call: Call, error: GatewayError | sse.BadStream) -> tuple[Call, bytes]:
    """The call marked as cut, and the event that tells the client that the rest will not come."""
    shown = error if isinstance(error, GatewayError) else UpstreamInvalid(f"The upstream's stream holds {error}.")
    return revise(call, outcome="cut"), sse.event(shown.body())
