"""How near a stored question must be, after feedback and under an error budget."""

from proxy.core.quality.cohort import basis_of
from proxy.pipeline.call import Call, revise, tenant_of
from proxy.pipeline.toolbox import Toolbox

# Was a hit near this question said to be wrong? Then a neighbour must be nearer than the plan asks.


async def doubt(call: Call, tools: Toolbox) -> Call:
    """Set the threshold in force here, where one was raised."""
    if call.vector is None or call.keys is None or call.keys.bucket is None:
        return call
    return revise(call, raised=call.directory.doubts.raised(call.keys.bucket, call.vector, tools.embedder.id))


# What the plan's error budget says for this tenant: from which score on hits are served, and
# whether they are served at all.


async def budget(call: Call, tools: Toolbox) -> Call:
    """Set basis, threshold and `withheld`, under a plan with an error budget. Reads memory only."""
    if not call.reads or call.vector is None or call.plan is None or call.plan.cache is None:
        return call
    if call.plan.cache.max_error_rate is None:
        return call
    basis = basis_of(call.plan.cache, tools.judge)
    standing = tools.budgets.standing(call.plan, basis, tenant_of(call))
    return revise(call, basis=basis, threshold=standing.threshold, withheld=bool(standing.off))
