"""Send what is complete: a hit in the shape asked for, the provider's whole answer, or an error object."""

import time
from collections.abc import Iterable

import orjson

from proxy.core import sse
from proxy.core.errors import RateLimited
from proxy.core.exchange import Call, Live, Refused, Whole, revise
from proxy.core.headers import STREAM, Header, decision_headers
from proxy.core.ports import Toolbox
from proxy.core.usage import usage_of

JSON: Header = (b"content-type", b"application/json")
# Hop-by-hop and length headers are ours to set; of the rest these matter to a client's retries.
PASSED = ("retry-after", "retry-after-ms", "x-should-retry")


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
        if not call.asked.stream or call.completion is None:
            return await _send(call, answer.status, answer.body, _passed(answer))
        return await _send_stream(call, sse.replay(call.completion, include_usage=call.asked.include_usage))
    call, body = revise(call, status=200), answer.envelope.completion
    if not call.asked.stream:
        return await _send(call, 200, body, [])
    return await _send_stream(call, sse.replay(orjson.loads(body), include_usage=call.asked.include_usage))


async def _refuse(call: Call, answer: Refused) -> Call:
    error = answer.error
    extra = [(b"www-authenticate", b"Bearer")] if error.status == 401 else []
    extra += [(b"retry-after", str(error.retry_after).encode())] if isinstance(error, RateLimited) else []
    return await _send(revise(call, status=error.status), error.status, orjson.dumps(error.body()), extra)


async def _send(call: Call, status: int, body: bytes, extra: list[Header]) -> Call:
    headers = [JSON, (b"content-length", str(len(body)).encode()), *decision_headers(call, time.time()), *extra]
    await call.client.start(status, headers)
    await call.client.send(body, more=False)
    return call


async def _send_stream(call: Call, events: Iterable[bytes]) -> Call:
    body = b"".join(events)
    await call.client.start(200, [*STREAM, (b"content-length", str(len(body)).encode()), *decision_headers(call, time.time())])
    await call.client.send(body, more=False)
    return call


def _passed(answer: Whole) -> list[Header]:
    return [(name.encode(), answer.headers[name].encode("latin-1", "replace")) for name in PASSED if name in answer.headers]
