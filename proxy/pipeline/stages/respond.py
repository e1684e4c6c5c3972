"""Send what is complete: a hit in the shape asked for, the provider's whole answer, or an error object."""

import asyncio
import time
from collections.abc import Iterable

import orjson

from proxy.core.answers import Refused, Whole
from proxy.core.errors import RateLimited
from proxy.core.event_loop import off_loop
from proxy.core.formats import sse
from proxy.core.formats.content_encoding import ACCEPTED
from proxy.core.formats.usage import usage_of
from proxy.pipeline.admission import QUICK_BYTES, admission, answer_bytes
from proxy.pipeline.call import Call, Live, revise
from proxy.pipeline.response_headers import STREAM, Header, decision_headers, passed_headers
from proxy.pipeline.toolbox import Toolbox

JSON: Header = (b"content-type", b"application/json")
PIECE_BYTES = 256 * 1024  # of an answer: then others have their turn


async def respond(call: Call, tools: Toolbox) -> Call:
    """Send the answer unless it is live. Raises ClientGone when nobody is there to take it."""
    answer = call.answer
    if answer is None or isinstance(answer, Live):
        return call
    call = revise(call, overhead_seconds=call.overhead(time.monotonic()))
    if isinstance(answer, Refused):
        return await _refuse(call, answer)
    if isinstance(answer, Whole):
        call = revise(call, status=answer.status, usage=usage_of(answer.completion, call.target.upstream.provider) or call.usage)
        if answer_bytes(call) < QUICK_BYTES:
            call = admission(call)
        if not call.asked.stream or call.completion is None:
            return await _send(call, answer.status, answer.body, passed_headers(call))
        events = sse.replay(call.completion, include_usage=call.asked.include_usage)
        return await _send_stream(call, events, passed_headers(call))
    call, body = revise(call, status=200), answer.envelope.completion
    if not call.asked.stream:
        return await _send(call, 200, body, [])
    completion = await off_loop(len(body), orjson.loads, body)
    return await _send_stream(call, sse.replay(completion, include_usage=call.asked.include_usage), [])


async def _refuse(call: Call, answer: Refused) -> Call:
    error = answer.error
    extra = [(b"www-authenticate", b"Bearer")] if error.status == 401 else []
    # What the provider was sent would be paid for twice.
    extra += [(b"x-should-retry", b"false")] if error.had_request or not error.retryable else []
    extra += [(b"accept-encoding", ACCEPTED.encode())] if error.status == 415 else []
    extra += [(b"retry-after", str(error.retry_after).encode())] if isinstance(error, RateLimited) else []
    return await _send(revise(call, status=error.status), error.status, orjson.dumps(error.body()), extra)


async def _send(call: Call, status: int, body: bytes, extra: list[Header]) -> Call:
    headers = [JSON, (b"content-length", str(len(body)).encode()), *decision_headers(call, time.time()), *extra]
    await call.client.start(status, headers)
    last = (len(body) - 1) // PIECE_BYTES * PIECE_BYTES if body else 0
    for begin in range(0, last, PIECE_BYTES):
        await call.client.send(body[begin : begin + PIECE_BYTES], more=True)
    await call.client.send(body[last:], more=False)
    return call


async def _send_stream(call: Call, events: Iterable[bytes], extra: list[Header]) -> Call:
    """Send the events at once; those of a large answer in pieces, so that neither this loop nor a slow reader holds all of them."""
    headers = [*STREAM, *decision_headers(call, time.time()), *extra]
    started, parts, size = False, list[bytes](), 0
    for event in events:
        parts.append(event)
        size += len(event)
        if size < PIECE_BYTES:
            continue
        if not started:
            await call.client.start(200, headers)
        started = True
        await call.client.send(b"".join(parts), more=True)
        await asyncio.sleep(0)
        parts, size = [], 0
    body = b"".join(parts)
    if not started:
        await call.client.start(200, [*headers, (b"content-length", str(len(body)).encode())])
    await call.client.send(body, more=False)
    return call
