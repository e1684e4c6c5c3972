"""Relay a stream unchanged as it arrives, and collect its completion if it is understood."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

from proxy.core.answers import CompleteAnswer, ErrorAnswer
from proxy.core.concurrency import cancel_on_disconnect
from proxy.core.errors import ClientDisconnected, GatewayError, UpstreamInvalid
from proxy.core.event_loop import LoopYielder, run_off_loop
from proxy.core.formats import sse
from proxy.core.formats.provider_secrets import get_provider_secrets
from proxy.core.formats.shown_errors import redact_error, refuse_key
from proxy.core.formats.stream_collector import StreamCollector
from proxy.core.formats.usage import UsageReader
from proxy.pipeline.call import Call, StreamingAnswer, evolve
from proxy.pipeline.response_headers import (
    STREAM_HEADERS,
    build_decision_headers,
    filter_upstream_headers,
)
from proxy.pipeline.toolbox import Toolbox

log = logging.getLogger("tokenthrift.proxy")
# Bytes after `[DONE]` are passed on too, but the client is not kept waiting for them.
MAX_WAIT_AFTER_DONE_SECONDS: Final = 0.5


async def stream(call: Call, tools: Toolbox) -> Call:
    """Relay the stream to its end and set the completion and usage it carried.

    A stream that breaks off ends in an error event and without `[DONE]`.
    """
    answer = call.answer
    if not isinstance(answer, StreamingAnswer):
        return call
    call = evolve(call, status=200, overhead_seconds=call.overhead_until(time.monotonic()))
    begun = time.monotonic()
    passage = _StreamRelay(call)
    try:
        async with cancel_on_disconnect(call.client):
            await call.client.start_response(
                200,
                [
                    *STREAM_HEADERS,
                    *build_decision_headers(call, time.time()),
                    *filter_upstream_headers(call),
                ],
            )
            call, last = await _relay_chunks(call, answer, passage, tools)
        if call.outcome != "ok" and call.flight is not None and call.is_leader:
            call.flight.refuse_later_requests()
        # Outside `cancel_on_disconnect`: a server may report the end of the response as a
        # disconnect.
        await call.client.send_body(last, more=False)
    except ClientDisconnected:
        call = evolve(call, outcome="client_closed")
    finally:
        await answer.reply.close()
    heard = passage.collector
    completion, sound = await run_off_loop(heard.collected_bytes, _collect_completion, heard)
    return evolve(
        call,
        completion=completion if sound else None,
        partial_completion=completion,
        streamed_bytes=heard.collected_bytes,
        usage=passage.usage_reader.build_usage(call.resolved_route.upstream.provider) or call.usage,
        upstream_seconds=call.upstream_seconds + time.monotonic() - begun,
    )


def _collect_completion(heard: StreamCollector) -> tuple[dict[str, Any], bool]:
    completion = heard.build_completion()
    return completion, heard.is_sound(completion)


async def _relay_chunks(
    call: Call, answer: StreamingAnswer, passage: "_StreamRelay", tools: Toolbox
) -> tuple[Call, bytes]:
    """Relay all but the last bytes, which are returned: nothing, or an error event."""
    decoder, turns, size, heard = sse.SseDecoder(), LoopYielder(), 0, passage.collector
    chunks = aiter(answer.reply.iter_chunks())
    try:
        while (data := await _read_next_chunk(chunks, passage)) is not None:
            size += len(data)
            if size > tools.limits.max_upstream_bytes:
                raise UpstreamInvalid("The upstream's stream does not end.")
            await _send_events(call, passage, decoder.iter_batches(data), turns)
            await turns.count_work(len(data))
        await _send_events(call, passage, [decoder.flush()], turns)
    except GatewayError as error:
        if not heard.has_ended:
            return _mark_cut(call, passage, error)
    if heard.error is not None:
        return evolve(call, outcome="upstream_error", stream_fault=passage.fault), b""
    if not heard.has_answered and not heard.spoiled_reason:
        nothing = UpstreamInvalid("The upstream's stream ended without an answer.")
        return evolve(
            call, outcome="upstream_error", stream_fault=ErrorAnswer(nothing)
        ), passage.separate_event(sse.encode_event(nothing.error_object()))
    if (
        not heard.has_ended
        and not heard.is_complete
        and (passage.ends_torn or not heard.has_missed)
    ):
        return _mark_cut(call, passage, UpstreamInvalid("The upstream's stream broke off."))
    return call, b""


async def _send_events(
    call: Call, passage: "_StreamRelay", batches: Iterable[list[sse.SseEvent]], turns: LoopYielder
) -> None:
    """Send the client the visible part of these events."""
    # In batches: one read may hold tens of thousands of events.
    for events in batches:
        if shown := passage.filter_events(events):
            await call.client.send_body(shown, more=True)
        await turns.count_work(sse.EVENT_WORK_BYTES * len(events))


async def _read_next_chunk(chunks: "AsyncIterator[bytes]", passage: "_StreamRelay") -> bytes | None:
    """Return the next bytes; None at the end, or after a pause that follows `[DONE]`."""
    left = (
        None
        if passage.done_at is None
        else passage.done_at + MAX_WAIT_AFTER_DONE_SECONDS - time.monotonic()
    )
    if left is not None and left <= 0:
        return None
    try:
        async with asyncio.timeout(left):
            return await anext(chunks, None)
    except TimeoutError:
        return None


def _mark_cut(call: Call, passage: "_StreamRelay", error: GatewayError) -> tuple[Call, bytes]:
    """Mark the call as cut; also return the event that tells the client so."""
    return evolve(call, outcome="cut"), passage.separate_event(
        sse.encode_event(error.error_object())
    )


class _StreamRelay:
    """Decides which bytes of a stream the client gets.

    All bytes unchanged, except usage that only we asked for, `[DONE]` without an answer before it,
    and errors in a shape that clients would not recognize. `done_at`: when `[DONE]` came, by the
    monotonic clock; `ends_torn`: the last event is incomplete.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        # If we did not ask for it, the provider's usage is meant for the client.
        asked_by_us = call.coalesced or call.resolved_route.upstream.stream_usage
        self._hides_usage = asked_by_us and not call.chat_request.include_usage
        self._in_hidden_event = False  # within an event that is not shown
        self._last_hidden = False  # the last event was not shown
        self._tail = b"\n\n"
        self.collector, self.usage_reader = StreamCollector(), UsageReader()
        self.fault: CompleteAnswer | ErrorAnswer | None = None
        self.done_at: float | None = None
        self.ends_torn = False

    def filter_events(self, events: list[sse.SseEvent]) -> bytes:
        """Return the bytes of these events that the client gets."""
        shown = b"".join([self._filter_event(event) for event in events])
        if shown:
            self._tail = (self._tail + shown)[-4:]
        return shown

    def separate_event(self, event: bytes) -> bytes:
        """Return our event, separated from what was sent before it."""
        whole = self._tail.endswith((b"\n\n", b"\n\r\n", b"\r\r"))
        return event if whole else b"\n\n" + event

    def _filter_event(self, event: sse.SseEvent) -> bytes:
        heard, known = self.collector, self.collector.error
        self._collect_event(event)
        self.ends_torn = not event.is_done and event.is_torn
        if event.is_done:
            self.done_at = self.done_at or time.monotonic()
        if self._continues_hidden(event):
            self._in_hidden_event = self._in_hidden_event and (event.is_open or event.raw == b"\n")
            return b""
        self._in_hidden_event = self._last_hidden = self._is_hidden(event)
        return (
            self._rewrite_error(event)
            if heard.error is not known
            else b""
            if self._last_hidden
            else event.raw
        )

    def _collect_event(self, event: sse.SseEvent) -> None:
        """Collect the event; a failure here does not stop the relay."""
        try:
            self.collector.take_event(event)
            if event.parsed is not None and isinstance(event.parsed.value, dict):
                self.usage_reader.take_chunk(event.parsed.value)
        except Exception:
            log.exception("request %s: a stream could not be collected", self._call.request_id)
            self.collector.mark_spoiled("a fault of the gateway's")

    def _continues_hidden(self, event: sse.SseEvent) -> bool:
        """Whether the bytes continue a hidden event, the late half of a CR LF included."""
        if event.raw == b"\n":
            return self._last_hidden
        return (
            self._in_hidden_event
            and not event.data
            and not event.is_unread
            and not event.raw.startswith(b":")
        )

    def _is_hidden(self, event: sse.SseEvent) -> bool:
        if event.is_done:
            return not self.collector.has_answered and not self.collector.spoiled_reason
        chunk = event.parsed.value if event.parsed else None
        return (
            self._hides_usage
            and isinstance(chunk, dict)
            and isinstance(chunk.get("usage"), dict)
            and not chunk.get("choices")
        )

    def _rewrite_error(self, event: sse.SseEvent) -> bytes:
        """Return the provider's error in OpenAI's format, without our key and its address."""
        error, upstream = self.collector.error, self._call.resolved_route.upstream
        assert error is not None and event.parsed is not None  # noqa: S101, PT018 -- it was just collected
        status, secrets = error.status or UpstreamInvalid.status, get_provider_secrets(upstream)
        shown = redact_error(error, status=status, secrets=secrets)
        if error.is_key_refused:
            refusal = refuse_key(upstream, shown, status=status)
            self.fault = ErrorAnswer(refusal)
            return self._replace_event(sse.encode_event(refusal.error_object()))
        self.fault = CompleteAnswer(
            status, {}, shown.body, None, error_code=error.code or error.type
        )
        if error.openai_body is event.parsed.value and not secrets.occur_in(error.openai_body):
            return event.raw
        return self._replace_event(shown.to_event())

    def _replace_event(self, event: bytes) -> bytes:
        """Return our event in place of the provider's, the rest of which is hidden."""
        self._in_hidden_event = self._last_hidden = True
        return self.separate_event(event)
