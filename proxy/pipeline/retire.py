"""A stored answer that was wrong for a question serves no other one by meaning. Identical questions keep it: for them it was right."""

from proxy.core.exchange import Call
from proxy.core.ports import Toolbox


async def retire(call: Call, tools: Toolbox) -> Call:
    """Delete the entry of a sampled hit found wrong. Raises ToolUnavailable."""
    if call.verdict != "wrong" or call.would is None or call.plan is None or call.plan.cache is None or call.plan.cache.backend is None:
        return call
    backend = tools.semantic[call.plan.cache.backend]
    await tools.breakers[backend.name].run(backend.delete(call.would.entry_id), seconds=tools.limits.store_budget)
    return call
