"""Calls that the gateway makes on its own behalf: samples, and renewals of expired answers."""

import time
from dataclasses import replace
from typing import Any

from proxy.core.formats.usage import Usage
from proxy.core.request_ids import new_id
from proxy.pipeline.call import Call, revise
from proxy.pipeline.clients import Nobody
from stats.events import Event

# The request that samples another one: the same question, asked by nobody, without a stream.

STREAMING = ("stream", "stream_options")


def again(call: Call) -> Call:
    """A call of its own, with an id and a row of its own, beside the finished one. Its completion is that of the finished one where the
    provider was asked anyway: then nothing is left to be paid for."""
    asked = call.asked
    body = {name: value for name, value in asked.body.items() if name not in STREAMING}
    hit = call.probe is call.answer or call.probe is call.would
    new = beside(
        call,
        client=Nobody(),
        request=replace(asked, body=body, stream=False, raw=asked.raw if body == asked.body else None),
        tier="sample",
        reason="",
        vetoes=(),
        would=call.probe if hit else None,
        chat=None,
        known=None,
        flight=None,
        collapsed=False,
        fallback=None,
        refresh=False,
        given=None,
        admitted=False,
        not_kept="",
    )
    return revise(new, budget_ends=new.ready)


def beside(call: Call, **changes: Any) -> Call:
    """A call with an id, a clock and a row of its own, made for that one: nothing of it is done or paid for yet."""
    now = time.monotonic()
    return revise(
        call,
        request_id=new_id(),
        at=time.time(),
        started=now,
        ready=now,
        sample_of=call.request_id,
        answer=None,
        cut=None,
        failures=(),
        attempts=0,
        usage=Usage(),
        given_up=False,
        status=200,
        upstream_seconds=0.0,
        overhead_seconds=0.0,
        times=(),
        trace=None,
        **changes,
    )


def asked_again(call: Call, given: Event, *, budget: float) -> Call:
    """The call that fetches a new answer for nobody, after the client was given an expired one; `given` is the event of that.

    `budget`: seconds for what of it is cache work.
    """
    now = time.monotonic()
    return revise(call, client=Nobody(), given=given, answer=None, tier="miss", status=0, ready=now, budget_ends=now + budget)
