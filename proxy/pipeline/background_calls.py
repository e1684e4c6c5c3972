"""Calls that the gateway makes on its own behalf: samples, and renewals of expired answers."""

import time
from dataclasses import replace
from typing import Any

from proxy.core.formats.usage import Usage
from proxy.core.request_ids import new_request_id
from proxy.pipeline.call import Call, evolve
from proxy.pipeline.clients import NullClient
from stats.events import Event

# The request that samples another one: the same question, asked by nobody, without a stream.

STREAM_FIELDS = ("stream", "stream_options")


def sampling_call(call: Call) -> Call:
    """A call of its own, with an id and a row of its own, beside the finished one.

    Its completion is that of the finished one where the provider was asked anyway: then nothing is
    left to be paid for.
    """
    asked = call.chat_request
    body = {name: value for name, value in asked.body.items() if name not in STREAM_FIELDS}
    hit = call.sample_candidate is call.answer or call.sample_candidate is call.shadow_hit
    new = derived_call(
        call,
        client=NullClient(),
        request=replace(
            asked, body=body, stream=False, raw_body=asked.raw_body if body == asked.body else None
        ),
        tier="sample",
        reason="",
        vetoes=(),
        shadow_hit=call.sample_candidate if hit else None,
        conversation_id=None,
        conversation=None,
        flight=None,
        coalesced=False,
        stale_answer=None,
        needs_revalidation=False,
        served_event=None,
        may_be_stored=False,
        not_stored_reason="",
    )
    return evolve(new, cache_deadline=new.body_read_at)


def derived_call(call: Call, **changes: Any) -> Call:
    """A call with an id, a clock and a row of its own, made for that one:
    nothing of it is done or paid for yet."""
    now = time.monotonic()
    return evolve(
        call,
        request_id=new_request_id(),
        at=time.time(),
        started_at=now,
        body_read_at=now,
        sample_of=call.request_id,
        answer=None,
        compression=None,
        failures=(),
        attempts=0,
        usage=Usage(),
        abandoned=False,
        status=200,
        upstream_seconds=0.0,
        overhead_seconds=0.0,
        stage_times=(),
        trace=None,
        **changes,
    )


def revalidation_call(call: Call, given: Event, *, budget: float) -> Call:
    """The call that fetches a new answer for nobody, after the client was given an expired one;
    `given` is the event of that.

    `budget`: seconds for what of it is cache work.
    """
    now = time.monotonic()
    return evolve(
        call,
        client=NullClient(),
        served_event=given,
        answer=None,
        tier="miss",
        status=0,
        body_read_at=now,
        cache_deadline=now + budget,
    )
