"""What the plan's error budget says for this tenant: from which score on hits are served, and whether they are served at all."""

from proxy.core.basis import basis_of
from proxy.core.exchange import Call, revise, tenant_of
from proxy.core.ports import Toolbox


async def budget(call: Call, tools: Toolbox) -> Call:
    """Set basis, threshold and `withheld`, under a plan with an error budget. Reads memory only."""
    if not call.reads or call.vector is None or call.plan is None or call.plan.cache is None:
        return call
    if call.plan.cache.max_error_rate is None:
        return call
    basis = basis_of(call.plan.cache, tools.judge)
    standing = tools.budgets.standing(call.plan, basis, tenant_of(call))
    return revise(call, basis=basis, threshold=standing.threshold, withheld=bool(standing.off))
