"""Calls that the gateway makes on its own behalf: samples, and revalidation of expired answers."""

import time
from dataclasses import replace
from typing import Any

from proxy.core.formats.usage import Usage
from proxy.core.request_ids import new_request_id
from proxy.core.upstream_headers import drop_request_names
from proxy.pipeline.call import Call, evolve
from proxy.pipeline.clients import NullClient
from stats.events import Event

# A sample repeats the request of the sampled call without streaming, for no client.

STREAM_FIELDS = ("stream", "stream_options")


def sampling_call(call: Call) -> Call:
    """Build the call that samples a finished one, with its own id and ledger row.

    If the provider was called anyway, its completion is reused and nothing more is paid for.
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
        # A provider may answer the same name of a request with the same answer.
        forwarded_headers=drop_request_names(call.forwarded_headers),
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
    """Copy a call under a new id and start time, with nothing done or paid for yet."""
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
    """Build the call that fetches a fresh answer after the client was served an expired one.

    `given`: the event of the served answer; `budget`: seconds for the cache work of this call.
    """
    now = time.monotonic()
    return evolve(
        call,
        client=NullClient(),
        served_event=given,
        forwarded_headers=drop_request_names(call.forwarded_headers),
        answer=None,
        tier="miss",
        status=0,
        body_read_at=now,
        cache_deadline=now + budget,
    )
