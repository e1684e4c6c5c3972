"""Build the provider's request, send it, read the reply."""

import time
from typing import Any

import orjson

from proxy.core.answers import CompleteAnswer, ErrorAnswer
from proxy.core.concurrency import cancel_on_disconnect
from proxy.core.errors import ClientDisconnected, GatewayError, OnlyIfCachedMiss, UpstreamInvalid
from proxy.core.event_loop import TURN_BYTES, LoopYielder, run_off_loop
from proxy.core.formats import sse
from proxy.core.formats.completion_checks import is_replayable
from proxy.core.formats.provider_errors import ProviderError, find_hidden_error
from proxy.core.formats.provider_json import ParsedJson, is_readable, parse_json
from proxy.core.formats.provider_secrets import get_provider_secrets
from proxy.core.formats.shown_errors import (
    KEY_REFUSED_STATUSES,
    build_shown_error,
    redact_error,
    refuse_key,
)
from proxy.core.formats.stream_collector import StreamCollector
from proxy.core.formats.usage import UsageReader
from proxy.core.ports import UpstreamReply
from proxy.core.prompt_caching.breakpoints import add_breakpoint, has_breakpoint, reads_breakpoints
from proxy.core.types import Message
from proxy.core.upstream_replies import PeekedReply
from proxy.pipeline.call import Answer, Call, StreamingAnswer, evolve
from proxy.pipeline.response_headers import find_upstream_request_id
from proxy.pipeline.toolbox import Toolbox
from stats.events import Attempt

# The attempt is recorded before the request is sent, so that a worker killed from here on leaves a
# trace.


async def build_request(call: Call, tools: Toolbox) -> Call:
    """Set the outgoing body and record the attempt.

    Raises OnlyIfCachedMiss if the request accepts only a cached answer.
    """
    if call.chat_request.cache_controls.only_if_cached:
        raise OnlyIfCachedMiss(
            "The cache has no answer for this request, and it asked for a cached one only.",
            param="cache.only-if-cached",
        )
    upstream = call.resolved_route.upstream
    tools.ledger.record_attempt(
        Attempt(
            event_id=call.request_id,
            at=call.at,
            tenant_id=call.key.tenant_id if call.key else None,
            upstream=upstream.name,
            model=call.resolved_route.model,
            plan_id=call.plan.id if call.plan else None,
        )
    )
    return evolve(
        call,
        upstream_body=await run_off_loop(call.chat_request.size_bytes, build_body, call),
        attempts=1,
    )


def build_body(call: Call) -> bytes:
    """Return the client's own bytes if nothing changes, else the body with the changed fields.

    The order of the fields stays.
    """
    request, changes = call.chat_request, dict[str, Any]()
    if request.model != call.resolved_route.model:
        changes["model"] = call.resolved_route.model
    if call.compression is not None and call.compression.messages is not None:
        changes["messages"] = _with_cache_breakpoint(
            call, call.compression.messages, call.compression.stable_prefix_messages
        )
    if request.stream and not request.include_usage and call.resolved_route.upstream.stream_usage:
        changes["stream_options"] = {
            **(request.body.get("stream_options") or {}),
            "include_usage": True,
        }
    if not changes and request.raw_body is not None:
        return request.raw_body
    return orjson.dumps({**request.body, **changes})


def _with_cache_breakpoint(call: Call, messages: list[Message], stable: int) -> list[Message]:
    """Add a cache breakpoint to a compressed conversation, if the provider reads them."""
    # A client that sets breakpoints itself knows better.
    if not reads_breakpoints(call.resolved_route.upstream) or has_breakpoint(
        call.chat_request.body
    ):
        return messages
    return add_breakpoint(messages, stable)


# One attempt only: clients have their own retries, and a second call would be billed twice.

EVENT_STREAM_MEDIA_TYPE = "text/event-stream"
JSON_MEDIA_TYPE = "application/json"
# How an event stream begins.
EVENT_STREAM_PREFIXES = (b"data:", b"event:", b"id:", b"retry:", b":", b"\xef\xbb\xbf")
COLLECT_CHUNK_BYTES = TURN_BYTES  # of a stream that is assembled into one answer


async def call_upstream(call: Call, tools: Toolbox) -> Call:
    """Call the provider; set its answer or stream, or our error if it fails or makes no sense."""
    begun = time.monotonic()
    answer: Answer | None = None
    try:
        async with cancel_on_disconnect(call.client):
            trace = call.trace.traceparent if call.trace else ""
            reply = await tools.upstream.send(
                call.resolved_route.upstream,
                call.upstream_body,
                request_id=call.request_id,
                stream=call.chat_request.stream,
                trace=trace,
                forwarded=call.forwarded_headers,
            )
            call = evolve(call, upstream_request_id=find_upstream_request_id(call, reply.headers))
            answer = await _read_reply(call, reply, limit=tools.limits.max_upstream_bytes)
    except ClientDisconnected:
        call = evolve(call, outcome="client_closed", abandoned=True)
    except GatewayError as error:
        call, answer = evolve(call, abandoned=error.had_request), ErrorAnswer(error)
    if isinstance(answer, ErrorAnswer) or (
        isinstance(answer, CompleteAnswer) and answer.status >= 400
    ):
        call = evolve(call, outcome="upstream_error")
    if isinstance(answer, CompleteAnswer) and answer.is_outcome_unknown:
        call = evolve(call, abandoned=True)
    found = answer.completion if isinstance(answer, CompleteAnswer) else None
    sound = isinstance(answer, CompleteAnswer) and answer.is_sound
    return evolve(
        call,
        answer=answer,
        completion=found if sound else None,
        partial_completion=found,
        upstream_seconds=time.monotonic() - begun,
        upstream_body=b"",
    )


async def _read_reply(call: Call, reply: UpstreamReply, *, limit: int) -> Answer:
    if 300 <= reply.status < 400:
        await reply.close()
        raise UpstreamInvalid(
            f"The upstream answered {reply.status}, a redirect, and redirects are not followed."
        )
    if reply.status >= 400:
        return await _read_error(call, reply)
    reply, streamed = await _detect_stream(call, reply, limit=limit)
    if streamed and call.chat_request.stream:
        return StreamingAnswer(reply)
    body = await reply.read_body()
    return (
        await _collect_stream(call, reply, body)
        if streamed
        else _complete_answer(call, reply, body)
    )


async def _detect_stream(
    call: Call, reply: UpstreamReply, *, limit: int
) -> tuple[UpstreamReply, bool]:
    """Return the reply and whether it is a stream, by its media type or else its first bytes."""
    media = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == EVENT_STREAM_MEDIA_TYPE:
        return reply, True
    if media == JSON_MEDIA_TYPE and not call.chat_request.stream:
        return reply, False
    begun = PeekedReply(reply, limit=limit)
    return begun, (await begun.peek_body()).startswith(EVENT_STREAM_PREFIXES)


async def _read_error(call: Call, reply: UpstreamReply) -> Answer:
    body = await reply.read_body()
    shown = build_shown_error(
        body,
        reply.headers.get("content-type", ""),
        status=reply.status,
        secrets=get_provider_secrets(call.resolved_route.upstream),
    )
    if reply.status in KEY_REFUSED_STATUSES or shown.error.is_key_refused:
        return ErrorAnswer(refuse_key(call.resolved_route.upstream, shown, status=reply.status))
    status = reply.status if reply.status < 600 else UpstreamInvalid.status
    return CompleteAnswer(
        status, reply.headers, shown.body, None, error_code=shown.error.code or shown.error.type
    )


def _complete_answer(call: Call, reply: UpstreamReply, body: bytes) -> Answer:
    """Parse a complete answer, or the error that hides behind a status of 200.

    An answer that cannot be parsed or replayed is passed on unchanged.
    """
    parsed = parse_json(body) if is_readable(body) else ParsedJson({"choices": []}, is_exact=False)
    value = parsed.value if parsed is not None else None
    if (error := find_hidden_error(value)) is not None:
        return _answer_hidden_error(call, reply, error)
    if parsed is None or not isinstance(value, dict) or not isinstance(value.get("choices"), list):
        raise UpstreamInvalid("The upstream answered with something that is no chat completion.")
    sound = parsed.is_exact and is_replayable(value)
    if call.chat_request.stream and not sound:
        raise UpstreamInvalid(
            "The upstream sent a whole answer to a request for a stream, and it cannot be made one."
        )
    return CompleteAnswer(reply.status, reply.headers, body, value, is_sound=sound)


def _answer_hidden_error(call: Call, reply: UpstreamReply, error: ProviderError) -> Answer:
    status = error.status or UpstreamInvalid.status
    shown = redact_error(
        error, status=status, secrets=get_provider_secrets(call.resolved_route.upstream)
    )
    if error.is_key_refused:
        return ErrorAnswer(refuse_key(call.resolved_route.upstream, shown, status=status))
    return CompleteAnswer(
        status, reply.headers, shown.body, None, error_code=error.code or error.type
    )


async def _collect_stream(call: Call, reply: UpstreamReply, body: bytes) -> Answer:
    """Assemble the complete answer from a stream that the client did not ask for."""
    decoder, turns, heard, told = sse.SseDecoder(), LoopYielder(), StreamCollector(), UsageReader()
    for begin in range(0, len(body), COLLECT_CHUNK_BYTES):
        for events in decoder.iter_batches(body[begin : begin + COLLECT_CHUNK_BYTES]):
            _collect_events(events, heard, told)
            await turns.count_work(sse.EVENT_WORK_BYTES * len(events))
        await turns.count_work(COLLECT_CHUNK_BYTES)
    _collect_events(decoder.flush(), heard, told)
    if heard.error is not None:
        return _answer_hidden_error(call, reply, heard.error)
    completion = await run_off_loop(heard.collected_bytes, heard.build_completion)
    if not heard.is_sound(completion) or not (heard.has_ended or heard.is_complete):
        reason = heard.spoiled_reason or "it ends too early"
        raise UpstreamInvalid(
            "The upstream sent a stream to a request for a whole answer, and it cannot be put "
            f"together: {reason}."
        )
    if told.raw_usage:
        completion["usage"] = told.raw_usage
    return CompleteAnswer(200, reply.headers, orjson.dumps(completion), completion)


def _collect_events(events: list[sse.SseEvent], heard: StreamCollector, told: UsageReader) -> None:
    for event in events:
        heard.take_event(event)
        if event.parsed is not None and isinstance(event.parsed.value, dict):
            told.take_chunk(event.parsed.value)
