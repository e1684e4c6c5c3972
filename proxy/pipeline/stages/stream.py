"""Pass a live stream on as it arrives, whatever it holds, and keep what it said where that is understood."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

from proxy.core.answers import Refused, Whole
from proxy.core.concurrency import until_gone
from proxy.core.errors import ClientGone, GatewayError, UpstreamInvalid
from proxy.core.event_loop import Turns, off_loop
from proxy.core.formats import sse
from proxy.core.formats.provider_secrets import secrets_of
from proxy.core.formats.shown_errors import redacted_error, refuse_key
from proxy.core.formats.stream_collector import Collector
from proxy.core.formats.usage import UsageReader
from proxy.pipeline.call import Call, Live, revise
from proxy.pipeline.response_headers import STREAM, decision_headers, passed_headers
from proxy.pipeline.toolbox import Toolbox

log = logging.getLogger("tokenthrift.proxy")
AFTER_DONE_SECONDS: Final = 0.5  # what comes behind `[DONE]` is passed on too, but nobody is kept waiting for it


async def relay(call: Call, tools: Toolbox) -> Call:
    """Relay to the end. A stream that breaks off ends in an error event and without `[DONE]`; one that ended whole becomes a completion."""
    answer = call.answer
    if not isinstance(answer, Live):
        return call
    call = revise(call, status=200, overhead_seconds=call.overhead(time.monotonic()))
    begun = time.monotonic()
    passage = _Passage(call)
    try:
        async with until_gone(call.client):
            await call.client.start(200, [*STREAM, *decision_headers(call, time.time()), *passed_headers(call)])
            call, last = await _pass_on(call, answer, passage, tools)
        # Outside the watch: a server may report the end of the response as the client's leaving.
        await call.client.send(last, more=False)
    except ClientGone:
        call = revise(call, outcome="client_closed")
    finally:
        await answer.reply.close()
    heard = passage.heard
    completion, sound = await off_loop(heard.collected_bytes, _put_together, heard)
    return revise(
        call,
        completion=completion if sound else None,
        partial_completion=completion,
        streamed_bytes=heard.collected_bytes,
        usage=passage.told.usage(call.target.upstream.provider) or call.usage,
        upstream_seconds=call.upstream_seconds + time.monotonic() - begun,
    )


def _put_together(heard: Collector) -> tuple[dict[str, Any], bool]:
    completion = heard.completion()
    return completion, heard.is_sound(completion)


async def _pass_on(call: Call, answer: Live, passage: "_Passage", tools: Toolbox) -> tuple[Call, bytes]:
    """Relay all but the last bytes, which are returned: nothing after a whole stream, an error event after one that broke off."""
    decoder, turns, size, heard = sse.Decoder(), Turns(), 0, passage.heard
    chunks = aiter(answer.reply.chunks())
    try:
        while (data := await _next(chunks, passage)) is not None:
            size += len(data)
            if size > tools.limits.upstream_bytes:
                raise UpstreamInvalid("The upstream's stream does not end.")
            await _send_on(call, passage, decoder.batches(data), turns)
            await turns.spend(len(data))
        await _send_on(call, passage, [decoder.flush()], turns)
    except GatewayError as error:
        if not heard.ended:
            return _cut(call, passage, error)
    if heard.error is not None:
        return revise(call, outcome="upstream_error", fault=passage.fault), b""
    if not heard.answered and not heard.spoiled:
        nothing = UpstreamInvalid("The upstream's stream ended without an answer.")
        return revise(call, outcome="upstream_error", fault=Refused(nothing)), passage.separated(sse.event(nothing.body()))
    if not heard.ended and not heard.whole and (passage.torn or not heard.missed):
        return _cut(call, passage, UpstreamInvalid("The upstream's stream broke off."))
    return call, b""


async def _send_on(call: Call, passage: "_Passage", batches: Iterable[list[sse.Event]], turns: Turns) -> None:
    """Send the client what it is to see of these events. A read of tens of thousands of them goes in pieces."""
    for events in batches:
        if shown := passage.shown(events):
            await call.client.send(shown, more=True)
        await turns.spend(sse.EVENT_WORK * len(events))


async def _next(chunks: "AsyncIterator[bytes]", passage: "_Passage") -> bytes | None:
    """The next bytes, None at the end, or when nothing more comes for a while after `[DONE]`."""
    left = None if passage.done_at is None else passage.done_at + AFTER_DONE_SECONDS - time.monotonic()
    if left is not None and left <= 0:
        return None
    try:
        async with asyncio.timeout(left):
            return await anext(chunks, None)
    except TimeoutError:
        return None


def _cut(call: Call, passage: "_Passage", error: GatewayError) -> tuple[Call, bytes]:
    """The call marked as cut, and the event that tells the client that the rest will not come."""
    return revise(call, outcome="cut"), passage.separated(sse.event(error.body()))


class _Passage:
    """What of a stream the client is shown: all bytes as they came, but for the usage that only we asked for, `[DONE]` where nothing was
    answered, and errors that clients would not know for such. `done_at`: when `[DONE]` came, by the monotonic clock; `torn`: the last
    event is a part of one."""

    def __init__(self, call: Call) -> None:
        self._call = call
        # Without our asking, a provider that says what it used says it to the client.
        asked_by_us = call.collapsed or call.target.upstream.stream_usage
        self._hides_usage = asked_by_us and not call.asked.include_usage
        self._hiding = False  # within an event that is not shown
        self._hidden = False  # the last event was not shown
        self._tail = b"\n\n"
        self.heard, self.told = Collector(), UsageReader()
        self.fault: Whole | Refused | None = None
        self.done_at: float | None = None
        self.torn = False

    def shown(self, events: list[sse.Event]) -> bytes:
        """The bytes of these events that the client is to see."""
        shown = b"".join([self._show(event) for event in events])
        if shown:
            self._tail = (self._tail + shown)[-4:]
        return shown

    def separated(self, event: bytes) -> bytes:
        """An event of ours, apart from what was passed on before it."""
        whole = self._tail.endswith((b"\n\n", b"\n\r\n", b"\r\r"))
        return event if whole else b"\n\n" + event

    def _show(self, event: sse.Event) -> bytes:
        heard, known = self.heard, self.heard.error
        self._understand(event)
        self.torn = not event.done and event.torn
        if event.done:
            self.done_at = self.done_at or time.monotonic()
        if self._goes_with_hidden(event):
            self._hiding = self._hiding and (event.open or event.raw == b"\n")
            return b""
        self._hiding = self._hidden = self._is_hidden(event)
        return self._show_error(event) if heard.error is not known else b"" if self._hidden else event.raw

    def _understand(self, event: sse.Event) -> None:
        """Have it collected. Whatever is wrong with that, the client gets its bytes."""
        try:
            self.heard.take(event)
            if event.parsed is not None and isinstance(event.parsed.value, dict):
                self.told.take(event.parsed.value)
        except Exception:
            log.exception("request %s: a stream could not be collected", self._call.request_id)
            self.heard.spoil("a fault of the gateway's")

    def _goes_with_hidden(self, event: sse.Event) -> bool:
        """Whether it is the rest of an event that was not shown: of CR LF the half that comes later too."""
        if event.raw == b"\n":
            return self._hidden
        return self._hiding and not event.data and not event.unread and not event.raw.startswith(b":")

    def _is_hidden(self, event: sse.Event) -> bool:
        if event.done:
            return not self.heard.answered and not self.heard.spoiled
        chunk = event.parsed.value if event.parsed else None
        return self._hides_usage and isinstance(chunk, dict) and isinstance(chunk.get("usage"), dict) and not chunk.get("choices")

    def _show_error(self, event: sse.Event) -> bytes:
        """The provider's error in OpenAI's shape, which is what clients look for; without our key and its address."""
        error, upstream = self.heard.error, self._call.target.upstream
        assert error is not None and event.parsed is not None  # noqa: S101, PT018 -- it was just heard
        status, secrets = error.status or UpstreamInvalid.status, secrets_of(upstream)
        shown = redacted_error(error, status=status, secrets=secrets)
        if error.refuses_key:
            refusal = refuse_key(upstream, shown, status=status)
            self.fault = Refused(refusal)
            return self._instead(sse.event(refusal.body()))
        self.fault = Whole(status, {}, shown.body, None, error_code=error.code or error.type)
        if error.given is event.parsed.value and not secrets.occur_in(error.given):
            return event.raw
        return self._instead(shown.event())

    def _instead(self, event: bytes) -> bytes:
        """An event of ours in the place of the provider's, of which nothing more is shown."""
        self._hiding = self._hidden = True
        return self.separated(event)
