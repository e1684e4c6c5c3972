"""Which answers are to be compared with the provider's, and what every look-up tells of the plan. After the reply."""

import random

from proxy.core.exchange import Call, Stored, revise, tenant_of
from proxy.core.ports import Toolbox


async def pick(call: Call, tools: Toolbox) -> Call:
    """Set the probe where a would-be hit is sampled. A request that wanted a stored answer or none makes no call upstream afterwards."""
    if not call.basis or call.plan is None or call.plan.cache is None or call.outcome != "ok" or call.status != 200:
        return revise(call, probe=None) if call.probe else call
    served = call.answer if isinstance(call.answer, Stored) and call.answer.tier == "semantic" else None
    hit = served or call.would
    if call.question is not None and call.plan.cache.backend not in call.failures:
        tools.budgets.looked(call.plan, call.basis, tenant_of(call), call.question, hit.entry_id if hit else "")
    if hit is None:
        return call
    sampled = random.random() < call.plan.cache.sample_rate  # noqa: S311 -- chance, no secret
    return revise(call, probe=hit if sampled and not (served and call.asked.controls.only_if_cached) else None)
