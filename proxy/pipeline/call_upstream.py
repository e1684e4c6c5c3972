"""Ask the provider. One attempt: clients have their own retries, and a second call would be billed twice."""

import time
from typing import Any

import orjson

from proxy.core.errors import ClientGone, GatewayError, UpstreamInvalid
from proxy.core.exchange import Answer, Call, Live, Refused, Whole, revise
from proxy.core.leaving import until_gone
from proxy.core.ports import Toolbox, UpstreamReply

# What a provider's own door says when those behind it did not answer in time: they may have worked, and bill it.
GAVE_UP = frozenset({408, 499, 504, 524})


async def call_upstream(call: Call, tools: Toolbox) -> Call:
    """Answer with what the provider says: whole, live, or our own error when it cannot be reached or makes no sense."""
    begun = time.monotonic()
    answer: Answer | None = None
    try:
        async with until_gone(call.client):
            trace = call.trace.outgoing if call.trace else ""
            reply = await tools.upstream.send(
                call.target.upstream, call.outgoing, request_id=call.request_id, stream=call.asked.stream, trace=trace
            )
            answer = await _read(call, reply)
    except ClientGone:
        call = revise(call, outcome="client_closed", given_up=True)
    except GatewayError as error:
        call, answer = revise(call, given_up=error.had_request), Refused(error)
    if isinstance(answer, Refused) or (isinstance(answer, Whole) and answer.status >= 400):
        call = revise(call, outcome="upstream_error")
    if isinstance(answer, Whole) and answer.status in GAVE_UP:
        call = revise(call, given_up=True)
    completion = answer.completion if isinstance(answer, Whole) else None
    return revise(call, answer=answer, completion=completion, upstream_seconds=time.monotonic() - begun, outgoing=b"")


async def _read(call: Call, reply: UpstreamReply) -> Answer:
    streamed = reply.headers.get("content-type", "").startswith("text/event-stream")
    if reply.status == 200 and streamed and call.asked.stream:
        return Live(reply)
    body = await reply.read()
    value = _json(body)
    if reply.status >= 400:
        return Whole(reply.status, reply.headers, body if _is_error(value) else _as_error(reply.status), None)
    if value is None or not isinstance(value.get("choices"), list):
        raise UpstreamInvalid("The upstream answered with something that is no chat completion.")
    return Whole(reply.status, reply.headers, body, value)


def _json(body: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _is_error(value: dict[str, Any] | None) -> bool:
    return value is not None and isinstance(value.get("error"), dict)


def _as_error(status: int) -> bytes:
    """An error object for a provider's answer that holds none, such as a proxy's HTML page."""
    error = UpstreamInvalid(f"The upstream answered {status} without an error object.")
    return orjson.dumps(error.body())
