"""The request that samples another one: the same question, asked by nobody, without a stream."""

import time
from dataclasses import replace
from typing import Any

from proxy.core.exchange import Call, Usage, revise
from proxy.core.ids import new_id
from proxy.core.nobody import Nobody

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
