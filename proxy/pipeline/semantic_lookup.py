"""Which stored questions mean nearly the same?"""

import logging

from proxy.core.exchange import Call, revise
from proxy.core.ports import Toolbox
from proxy.core.reading import time_left

log = logging.getLogger("tokenthrift.proxy")


async def semantic_lookup(call: Call, tools: Toolbox) -> Call:
    """Set the candidates: neighbours within the bucket, best first. Raises ToolUnavailable.

    The bucket holds the scope already; what a backend returns all the same from another one goes no further."""
    if not call.reads or call.vector is None or call.keys is None or call.keys.bucket is None:
        return call
    assert call.plan is not None and call.plan.cache is not None and call.plan.cache.backend is not None  # noqa: S101, PT018 -- embed saw to it
    backend = tools.semantic[call.plan.cache.backend]
    search = backend.nearest(call.keys.bucket, call.vector, floor=tools.limits.floor, limit=tools.limits.candidates)
    found = await tools.breakers[backend.name].run(search, seconds=time_left(call))
    ours = tuple(candidate for candidate in found if candidate.scope == call.keys.scope)
    if len(ours) < len(found):
        log.error("%s returned %d entries of another scope, which are not served", backend.name, len(found) - len(ours))
    return revise(call, candidates=ours)
