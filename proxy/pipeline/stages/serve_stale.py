"""Serve the expired answer to the same request if the provider failed and the plan allows it."""

from dataclasses import replace

from proxy.pipeline.cache_access import is_provider_failure, may_serve_on_error
from proxy.pipeline.call import Call, evolve
from proxy.pipeline.toolbox import Toolbox


async def serve_stale(call: Call, tools: Toolbox) -> Call:
    """Answer with the expired entry instead of the error.

    The attempt stays in the record, and nothing counts as saved: without the gateway it would have
    failed too.
    """
    if (
        call.outcome != "upstream_error"
        or call.stale_answer is None
        or call.is_in_shadow
        or not is_provider_failure(call.answer)
    ):
        return call
    if not may_serve_on_error(call, call.stale_answer.envelope):
        return call
    answer = replace(call.stale_answer, stale="error")
    return evolve(
        call.add_failure("upstream"), tier="exact", answer=answer, completion=None, outcome="ok"
    )
