"""What the provider will be sent, and the note that it is about to be: a worker killed from here on leaves a trace."""

from typing import Any

import orjson

from proxy.core.breakpoints import has_breakpoint, reads_breakpoints, with_breakpoint
from proxy.core.errors import NotCached
from proxy.core.exchange import Call, revise
from proxy.core.offload import off_loop
from proxy.core.ports import Message, Toolbox
from stats.measures import Attempt


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
