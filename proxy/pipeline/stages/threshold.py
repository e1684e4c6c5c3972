"""Set the similarity thresholds required by feedback and by an error budget."""

from proxy.core.quality.cohort import derive_cohort
from proxy.pipeline.call import Call, evolve, get_tenant_id
from proxy.pipeline.toolbox import Toolbox

# If a hit near this question was reported as wrong, a candidate must be nearer than the plan
# requires.


async def feedback_threshold(call: Call, tools: Toolbox) -> Call:
    """Set the threshold that reported wrong answers near this question require."""
    keys, plan = call.cache_keys, call.plan
    if call.vector is None or keys is None or keys.bucket is None:
        return call
    assert plan is not None and plan.cache is not None  # noqa: S101, PT018 -- there is no bucket without
    embedder_id = tools.select_index(plan.cache).embedder.id
    return evolve(
        call,
        feedback_threshold=call.config.penalties.required_threshold(
            keys.bucket, call.vector, embedder_id
        ),
    )


# The plan's error budget for this tenant: the score from which hits are served, and whether they
# are served at all.


async def error_budget_threshold(call: Call, tools: Toolbox) -> Call:
    """Set `cohort`, `learned_threshold` and `semantic_disabled`, under a plan with an error budget.

    Reads memory only.
    """
    if not call.reads_cache or call.vector is None or call.plan is None or call.plan.cache is None:
        return call
    if call.plan.cache.max_error_rate is None:
        return call
    basis = derive_cohort(call.plan.cache, tools.scorer_id)
    standing = tools.error_budgets.tier_state(call.plan, basis, get_tenant_id(call))
    return evolve(
        call,
        cohort=basis,
        learned_threshold=standing.threshold,
        semantic_disabled=bool(standing.off_reason),
    )
