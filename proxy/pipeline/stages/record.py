"""The one way out: whatever happened to a request, it becomes one event. Nothing here waits."""

from dataclasses import replace

from proxy.pipeline.call import Call
from proxy.pipeline.ledger_records import BILL, event_of, imprint_of
from proxy.pipeline.toolbox import Toolbox


async def record(call: Call, tools: Toolbox) -> Call:
    """Hand the event to the ledger. What was given before a refresh has one event with it: that answer, and the bill of this one."""
    event = event_of(call)
    if call.given is not None:
        event = replace(call.given, failures=event.failures, **{name: getattr(event, name) for name in BILL})
    tools.ledger.record(event)
    if tools.limits.imprints and (imprint := imprint_of(call, pepper=tools.limits.key_pepper)):
        tools.ledger.imprint(imprint)
    for watch in tools.watchers:
        watch(call, event)
    return call
