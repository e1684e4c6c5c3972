"""Record the call in the ledger: every request becomes exactly one event. Nothing here blocks."""

from dataclasses import replace

from proxy.pipeline.call import Call
from proxy.pipeline.ledger_records import BILLING_FIELDS, build_event, build_fingerprint
from proxy.pipeline.toolbox import Toolbox


async def record(call: Call, tools: Toolbox) -> Call:
    """Record the event, and the fingerprint if those are recorded; notify the observers.

    If an expired answer was served first, its event is recorded with the bill of this call.
    """
    event = build_event(call)
    if call.served_event is not None:
        event = replace(
            call.served_event,
            failures=event.failures,
            **{name: getattr(event, name) for name in BILLING_FIELDS},
        )
    tools.ledger.record_event(event)
    if tools.limits.records_fingerprints and (
        imprint := build_fingerprint(call, pepper=tools.limits.key_pepper)
    ):
        tools.ledger.record_fingerprint(imprint)
    for watch in tools.observers:
        watch(call, event)
    return call
