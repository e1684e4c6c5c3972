"""Set the similarity thresholds required by feedback and by an error budget."""

from proxy.core.errors import ToolUnavailable
from proxy.core.quality.cohort import derive_cohort
from proxy.core.verification.conversation import select_look_up_text
from proxy.pipeline.call import Call, evolve, get_tenant_id
from proxy.pipeline.question_matching import embed_texts
from proxy.pipeline.toolbox import Toolbox

# If a hit near this question was reported as wrong, a candidate must be nearer than the plan
# requires.


async def feedback_threshold(call: Call, tools: Toolbox) -> Call:
    """Set the threshold that reported wrong answers near this question require."""
    keys, plan = call.cache_keys, call.plan
    if call.vector is None or call.question is None or keys is None or keys.bucket is None:
        return call
    assert plan is not None and plan.cache is not None  # noqa: S101, PT018 -- there is no bucket without
    penalties, index = call.config.penalties, tools.select_index(plan.cache).embedder
    least = penalties.required_threshold(keys.bucket, call.vector, index.id)
    # Reported before entries were found by words, or while the plan matched by cosine.
    if index is not tools.embedder and penalties.has_penalty_of(keys.bucket, tools.embedder.id):
        text = select_look_up_text(call.question, call.window, plan.cache.window)
        try:
            (vector,) = await embed_texts(call, tools, text)
        except ToolUnavailable:
            return evolve(call, feedback_threshold=1.0)  # it may be near: equivalent texts alone
        least = max(least, penalties.required_threshold(keys.bucket, vector, tools.embedder.id))
    return evolve(call, feedback_threshold=least)


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
