"""Where the provider failed: the expired answer to the same request, if the plan allows it."""

from dataclasses import replace

from proxy.pipeline.cache_access import may_stand_in, provider_failed
from proxy.pipeline.call import Call, revise
from proxy.pipeline.toolbox import Toolbox


async def stand_in(call: Call, tools: Toolbox) -> Call:
    """Answer with it instead of the error. The attempt stays in the record, and nothing counts as saved: without us it had failed too."""
    if call.outcome != "upstream_error" or call.fallback is None or call.in_shadow or not provider_failed(call.answer):
        return call
    if not may_stand_in(call, call.fallback.envelope):
        return call
    answer = replace(call.fallback, stale="error")
    return revise(call.failed_open("upstream"), tier="exact", answer=answer, completion=None, outcome="ok")
