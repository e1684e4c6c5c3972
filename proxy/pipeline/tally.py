"""A sample with its verdict counts."""

from proxy.core.exchange import Call, tenant_of
from proxy.core.ports import Toolbox
from stats.evidence import Sample


async def tally(call: Call, tools: Toolbox) -> Call:
    """Tell the plan's error budget, by the number that its threshold is of."""
    plan, probe = call.plan, call.probe
    if plan is None or plan.cache is None or probe is None or not call.verdict:
        return call
    score = probe.score if plan.cache.match == "verified" else probe.similarity
    if score is not None:
        tools.budgets.sampled(plan, call.basis, tenant_of(call), call.request_id, Sample(call.at, score, call.verdict))
    return call
