"""Build the provider's request, send it, read the reply."""

import time
from typing import Any

import orjson

from proxy.core.answers import Refused, Whole
from proxy.core.concurrency import until_gone
from proxy.core.errors import ClientGone, GatewayError, NotCached, UpstreamInvalid
from proxy.core.event_loop import TURN_BYTES, Turns, off_loop
from proxy.core.formats import sse
from proxy.core.formats.completion_checks import is_replayable
from proxy.core.formats.provider_errors import ProviderError, find_hidden_error
from proxy.core.formats.provider_json import ParsedJson, is_readable, parse_json
from proxy.core.formats.provider_secrets import secrets_of
from proxy.core.formats.shown_errors import KEY_REFUSED, redacted_error, refuse_key, shown_error
from proxy.core.formats.stream_collector import Collector
from proxy.core.formats.usage import UsageReader
from proxy.core.ports import UpstreamReply
from proxy.core.prompt_caching.breakpoints import has_breakpoint, reads_breakpoints, with_breakpoint
from proxy.core.types import Message
from proxy.core.upstream_replies import BegunReply
from proxy.pipeline.call import Answer, Call, Live, revise
from proxy.pipeline.response_headers import upstream_request_id
from proxy.pipeline.toolbox import Toolbox
from stats.events import Attempt

# What the provider will be sent, and the note that it is about to be: a worker killed from here on
# leaves a trace.


async def build_upstream(call: Call, tools: Toolbox) -> Call:
    """Set the outgoing body and count the attempt. Raises NotCached when the request wanted a cached answer or none."""
    if call.asked.controls.only_if_cached:
        raise NotCached("The cache has no answer for this request, and it asked for a cached one only.", param="cache.only-if-cached")
    upstream = call.target.upstream
    tools.ledger.attempt(
        Attempt(
            event_id=call.request_id,
            at=call.at,
            tenant_id=call.key.tenant_id if call.key else None,
            upstream=upstream.name,
            model=call.target.model,
            plan_id=call.plan.id if call.plan else None,
        )
    )
    return revise(call, outgoing=await off_loop(call.asked.size, outgoing_body, call), attempts=1)


def outgoing_body(call: Call) -> bytes:
    """The client's own bytes where nothing in them has to change, else the body written anew with fields in their order."""
    request, changes = call.asked, dict[str, Any]()
    if request.model != call.target.model:
        changes["model"] = call.target.model
    if call.cut is not None and call.cut.messages is not None:
        changes["messages"] = _remembered(call, call.cut.messages, call.cut.stable)
    if request.stream and not request.include_usage and call.target.upstream.stream_usage:
        changes["stream_options"] = {**(request.body.get("stream_options") or {}), "include_usage": True}
    if not changes and request.raw is not None:
        return request.raw
    return orjson.dumps({**request.body, **changes})


def _remembered(call: Call, messages: list[Message], stable: int) -> list[Message]:
    """A cut chat as the provider is to remember it. A client that sets breakpoints knows better."""
    if not reads_breakpoints(call.target.upstream) or has_breakpoint(call.asked.body):
        return messages
    return with_breakpoint(messages, stable)


# Ask the provider. One attempt: clients have their own retries, and a second call would be billed
# twice.

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
