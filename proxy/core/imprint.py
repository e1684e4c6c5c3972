"""What is kept of a request so that another plan can be tried on it (`proxy.core.replay`)."""

from base64 import b64encode

import numpy as np

from proxy.core.end_user import end_user_digest
from proxy.core.exchange import Call
from proxy.core.ports import Vector
from stats.imprint import Imprint

LEVELS = 127


def imprint_of(call: Call, *, pepper: str) -> Imprint | None:
    """None of a request that the caches had nothing to do with, or must not answer, and of one that got no answer."""
    keys = call.withheld_keys or (call.keys if call.reads else None)
    if keys is None or call.key is None or call.plan is None or call.sample_of or call.status != 200 or call.outcome != "ok":
        return None
    return Imprint(
        event_id=call.request_id,
        at=call.at,
        tenant_id=call.key.tenant_id,
        plan_id=call.plan.id,
        key_id=call.key.id,
        asked=keys.exact[:32],
        bucket=(keys.bucket or "")[:32] if call.vector is not None else "",
        end_user=end_user_digest(call.asked.user, tenant_id=call.key.tenant_id, pepper=pepper),
        vector=packed(call.vector) if call.vector is not None else "",
    )


def packed(vector: Vector) -> str:
    """One signed byte a dimension, of the largest of them: the direction, which is all that a cosine compares."""
    largest = float(np.abs(vector).max()) or 1.0
    return b64encode(np.rint(vector * (LEVELS / largest)).astype(np.int8).tobytes()).decode()
