"""Answers that somebody had forgotten: all of a plan's, or those that carry a tag.

Nothing is searched or deleted for it. Forgetting raises the configuration's revision and notes, for a plan, a tenant and a tag, the
revision it was raised to; an entry holds the revision under which its answer was asked for, and is dead when that is smaller. So it takes
one row and no clock, a lost or flushed Redis brings nothing back, and a request that began before stores what nobody is served.
"""

from proxy.core.envelope import Envelope
from proxy.core.exchange import Call

FORGOTTEN = "forgotten"  # the reason against a near entry


def forgotten(call: Call, envelope: Envelope) -> bool:
    """Whether this answer was asked for before all of its plan's, or one of its tags or of the request's tags, were forgotten.

    The request's tags count because its entry may have been stored by one that named others.
    """
    return bool(call.directory.forgotten) and since(call, envelope.tags) > envelope.revision


def since(call: Call, tags: tuple[str, ...] = ()) -> int:
    """The revision from which on answers to this request count: to all of its plan's, to its tags, and to these."""
    marks, plan = call.directory.forgotten, call.plan
    if not marks or plan is None:
        return 0
    tenant = call.key.tenant_id if call.key else None
    names = ("", *tags, *call.asked.controls.tags)
    return max(marks.get((plan.id, whose, tag), 0) for tag in names for whose in (None, tenant))
