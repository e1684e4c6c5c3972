"""Which stored questions mean nearly the same?"""

from proxy.core.exchange import Call, revise
from proxy.core.ports import Toolbox
from proxy.core.reading import time_left


async def semantic_lookup(call: Call, tools: Toolbox) -> Call:
    """Set the candidates: neighbours within the bucket, best first. Raises ToolUnavailable."""
    if not call.reads or call.vector is None or call.keys is None or call.keys.bucket is None:
        return call
    assert call.plan is not None and call.plan.cache is not None and call.plan.cache.backend is not None  # noqa: S101, PT018 -- embed saw to it
    backend = tools.semantic[call.plan.cache.backend]
    search = backend.nearest(call.keys.bucket, call.vector, floor=tools.limits.floor, limit=tools.limits.candidates)
    found = await tools.breakers[backend.name].run(search, seconds=time_left(call))
    return revise(call, candidates=tuple(found))
