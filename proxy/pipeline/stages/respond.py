"""Send a complete answer: a hit in the requested format, the provider's answer, or an error."""

import asyncio
import time
from collections.abc import Iterable
from typing import Final

import orjson

from proxy.core.answers import CompleteAnswer, ErrorAnswer
from proxy.core.errors import RateLimited
from proxy.core.event_loop import run_off_loop
from proxy.core.formats import sse
from proxy.core.formats.content_encoding import ACCEPTED_ENCODINGS
from proxy.core.formats.usage import find_usage
from proxy.pipeline.admission import MAX_INLINE_CHECK_BYTES, check_admission, count_answer_bytes
from proxy.pipeline.call import Call, StreamingAnswer, evolve
from proxy.pipeline.response_headers import (
    STREAM_HEADERS,
    Header,
    build_decision_headers,
    filter_upstream_headers,
)
from proxy.pipeline.toolbox import Toolbox

JSON_HEADER: Header = (b"content-type", b"application/json")
# SDKs of OpenAI obey it; without it they send again after 408, 409, 429 and every status from 500.
SHOULD_RETRY: Final = b"x-should-retry"
NO_RETRY_HEADER: Header = (SHOULD_RETRY, b"false")
SEND_CHUNK_BYTES = 256 * 1024  # of an answer, before other requests get the event loop


async def respond(call: Call, tools: Toolbox) -> Call:
    """Send the answer unless it is a stream. Raises ClientDisconnected."""
    answer = call.answer
    if answer is None or isinstance(answer, StreamingAnswer):
        return call
    call = evolve(call, overhead_seconds=call.overhead_until(time.monotonic()))
    if isinstance(answer, ErrorAnswer):
        return await _send_error(call, answer)
    if isinstance(answer, CompleteAnswer):
        call = evolve(
            call,
            status=answer.status,
            usage=find_usage(answer.completion, call.resolved_route.upstream.provider)
            or call.usage,
        )
        if count_answer_bytes(call) < MAX_INLINE_CHECK_BYTES:
            call = check_admission(call)
        if not call.chat_request.stream or call.completion is None:
            passed = filter_upstream_headers(call)
            if answer.is_outcome_unknown and not any(name == SHOULD_RETRY for name, _ in passed):
                passed.append(NO_RETRY_HEADER)
            return await _send_whole(call, answer.status, answer.body, passed)
        events = sse.replay_completion(
            call.completion, include_usage=call.chat_request.include_usage
        )
        return await _send_stream(call, events, filter_upstream_headers(call))
    call, body = evolve(call, status=200), answer.envelope.completion
    if not call.chat_request.stream:
        return await _send_whole(call, 200, body, [])
    completion = await run_off_loop(len(body), orjson.loads, body)
    return await _send_stream(
        call, sse.replay_completion(completion, include_usage=call.chat_request.include_usage), []
    )


async def _send_error(call: Call, answer: ErrorAnswer) -> Call:
    error = answer.error
    extra = [(b"www-authenticate", b"Bearer")] if error.status == 401 else []
    # A retry of what reached the provider would be paid for twice.
    if error.had_request or call.abandoned or not error.retryable:
        extra.append(NO_RETRY_HEADER)
    extra += [(b"accept-encoding", ACCEPTED_ENCODINGS.encode())] if error.status == 415 else []
    extra += (
        [(b"retry-after", str(error.retry_after).encode())]
        if isinstance(error, RateLimited)
        else []
    )
    return await _send_whole(
        evolve(call, status=error.status), error.status, orjson.dumps(error.error_object()), extra
    )


async def _send_whole(call: Call, status: int, body: bytes, extra: list[Header]) -> Call:
    headers = [
        JSON_HEADER,
        (b"content-length", str(len(body)).encode()),
        *build_decision_headers(call, time.time()),
        *extra,
    ]
    await call.client.start_response(status, headers)
    last = (len(body) - 1) // SEND_CHUNK_BYTES * SEND_CHUNK_BYTES if body else 0
    for begin in range(0, last, SEND_CHUNK_BYTES):
        await call.client.send_body(body[begin : begin + SEND_CHUNK_BYTES], more=True)
    await call.client.send_body(body[last:], more=False)
    return call


async def _send_stream(call: Call, events: Iterable[bytes], extra: list[Header]) -> Call:
    """Send the events at once, or those of a large answer in chunks."""
    headers = [*STREAM_HEADERS, *build_decision_headers(call, time.time()), *extra]
    # So that neither this loop nor a slow reader holds all of them.
    started, parts, size = False, list[bytes](), 0
    for event in events:
        parts.append(event)
        size += len(event)
        if size < SEND_CHUNK_BYTES:
            continue
        if not started:
            await call.client.start_response(200, headers)
        started = True
        await call.client.send_body(b"".join(parts), more=True)
        await asyncio.sleep(0)
        parts, size = [], 0
    body = b"".join(parts)
    if not started:
        await call.client.start_response(
            200, [*headers, (b"content-length", str(len(body)).encode())]
        )
    await call.client.send_body(body, more=False)
    return call
