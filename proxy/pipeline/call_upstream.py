"""Ask the provider. One attempt: clients have their own retries, and a second call would be billed twice."""

import time

import orjson

from proxy.core import sse
from proxy.core.collector import Collector
from proxy.core.completions import is_replayable
from proxy.core.errors import ClientGone, GatewayError, UpstreamInvalid
from proxy.core.exchange import Answer, Call, Live, Refused, Whole, revise
from proxy.core.headers import upstream_request_id
from proxy.core.leaving import until_gone
from proxy.core.offload import off_loop
from proxy.core.ports import Toolbox, UpstreamReply
from proxy.core.provider_errors import ProviderError, find_hidden_error
from proxy.core.provider_json import ParsedJson, is_readable, parse_json
from proxy.core.provider_secrets import secrets_of
from proxy.core.replies import BegunReply
from proxy.core.shown_errors import KEY_REFUSED, redacted_error, refuse_key, shown_error
from proxy.core.turns import TURN_BYTES, Turns
from proxy.core.usage import UsageReader

EVENT_STREAM = "text/event-stream"
JSON_MEDIA = "application/json"
FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":", b"\xef\xbb\xbf")  # how a stream of events begins
PIECE_BYTES = TURN_BYTES  # of a stream that is put together

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
            call = revise(call, upstream_request_id=upstream_request_id(call, reply.headers))
            answer = await _read(call, reply, limit=tools.limits.upstream_bytes)
    except ClientGone:
        call = revise(call, outcome="client_closed", given_up=True)
    except GatewayError as error:
        call, answer = revise(call, given_up=error.had_request), Refused(error)
    if isinstance(answer, Refused) or (isinstance(answer, Whole) and answer.status >= 400):
        call = revise(call, outcome="upstream_error")
    if isinstance(answer, Whole) and answer.status in GAVE_UP:
        call = revise(call, given_up=True)
    found = answer.completion if isinstance(answer, Whole) else None
    sound = isinstance(answer, Whole) and answer.sound
    return revise(
        call,
        answer=answer,
        completion=found if sound else None,
        partial_completion=found,
        upstream_seconds=time.monotonic() - begun,
        outgoing=b"",
    )


async def _read(call: Call, reply: UpstreamReply, *, limit: int) -> Answer:
    if 300 <= reply.status < 400:
        await reply.close()
        raise UpstreamInvalid(f"The upstream answered {reply.status}, a redirect, and redirects are not followed.")
    if reply.status >= 400:
        return await _read_error(call, reply)
    reply, streamed = await _begun(call, reply, limit=limit)
    if streamed and call.asked.stream:
        return Live(reply)
    body = await reply.read()
    return await _put_together(call, reply, body) if streamed else _whole(call, reply, body)


async def _begun(call: Call, reply: UpstreamReply, *, limit: int) -> tuple[UpstreamReply, bool]:
    """The reply, and whether it is a stream. Where its media type does not say so, its first bytes do."""
    media = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == EVENT_STREAM:
        return reply, True
    if media == JSON_MEDIA and not call.asked.stream:
        return reply, False
    begun = BegunReply(reply, limit=limit)
    return begun, (await begun.peek()).startswith(FIELDS)


async def _read_error(call: Call, reply: UpstreamReply) -> Answer:
    body = await reply.read()
    shown = shown_error(body, reply.headers.get("content-type", ""), status=reply.status, secrets=secrets_of(call.target.upstream))
    if reply.status in KEY_REFUSED or shown.error.refuses_key:
        return Refused(refuse_key(call.target.upstream, shown, status=reply.status))
    status = reply.status if reply.status < 600 else UpstreamInvalid.status
    return Whole(status, reply.headers, shown.body, None, error_code=shown.error.code or shown.error.type)


def _whole(call: Call, reply: UpstreamReply, body: bytes) -> Answer:
    """The completion, or the error that a status of 200 hides. What cannot be read, or not be given again, is passed on as it is."""
    parsed = parse_json(body) if is_readable(body) else ParsedJson({"choices": []}, exact=False)
    value = parsed.value if parsed is not None else None
    if (error := find_hidden_error(value)) is not None:
        return _hidden_error(call, reply, error)
    if parsed is None or not isinstance(value, dict) or not isinstance(value.get("choices"), list):
        raise UpstreamInvalid("The upstream answered with something that is no chat completion.")
    sound = parsed.exact and is_replayable(value)
    if call.asked.stream and not sound:
        raise UpstreamInvalid("The upstream sent a whole answer to a request for a stream, and it cannot be made one.")
    return Whole(reply.status, reply.headers, body, value, sound=sound)


def _hidden_error(call: Call, reply: UpstreamReply, error: ProviderError) -> Answer:
    status = error.status or UpstreamInvalid.status
    shown = redacted_error(error, status=status, secrets=secrets_of(call.target.upstream))
    if error.refuses_key:
        return Refused(refuse_key(call.target.upstream, shown, status=status))
    return Whole(status, reply.headers, shown.body, None, error_code=error.code or error.type)


async def _put_together(call: Call, reply: UpstreamReply, body: bytes) -> Answer:
    """The whole answer of a stream that was not asked for."""
    decoder, turns, heard, told = sse.Decoder(), Turns(), Collector(), UsageReader()
    for begin in range(0, len(body), PIECE_BYTES):
        for events in decoder.batches(body[begin : begin + PIECE_BYTES]):
            _take(events, heard, told)
            await turns.spend(sse.EVENT_WORK * len(events))
        await turns.spend(PIECE_BYTES)
    _take(decoder.flush(), heard, told)
    if heard.error is not None:
        return _hidden_error(call, reply, heard.error)
    completion = await off_loop(heard.collected_bytes, heard.completion)
    if not heard.is_sound(completion) or not (heard.ended or heard.whole):
        reason = heard.spoiled or "it ends too early"
        raise UpstreamInvalid(f"The upstream sent a stream to a request for a whole answer, and it cannot be put together: {reason}.")
    if told.reported:
        completion["usage"] = told.reported
    return Whole(200, reply.headers, orjson.dumps(completion), completion)


def _take(events: list[sse.Event], heard: Collector, told: UsageReader) -> None:
    for event in events:
        heard.take(event)
        if event.parsed is not None and isinstance(event.parsed.value, dict):
            told.take(event.parsed.value)
