"""Which stored answers may serve this request, and where its own answer may be kept."""

from proxy.core.caching.keys import exact_key, scope_digest
from proxy.core.event_loop import off_loop
from proxy.pipeline.call import Call, Keys, revise
from proxy.pipeline.toolbox import Toolbox


async def scope(call: Call, tools: Toolbox) -> Call:
    """Set `reads`, `writes` and the exact key, or the reason why the caches stay out of it."""
    plan, request = call.plan, call.asked
    if plan is None or call.key is None or plan.mode == "off":
        return call
    if plan.cache is None or not (plan.cache.exact or plan.cache.backend):
        return revise(call, reason="no-cache-in-plan")
    if request.controls.no_store:
        return revise(call, reason="no-store")
    digest = scope_digest(plan, call.key, user=request.user, namespace=request.controls.namespace)
    if digest is None:
        return revise(call, reason="no-scope")
    exact = await off_loop(request.size, exact_key, request.body, scope=digest, plan=plan, route=call.target)
    keys = Keys(scope=digest, exact=exact)
    fresh = request.controls.no_cache
    return revise(call, keys=keys, tier="miss", reason="no-cache" if fresh else "", reads=not fresh, writes=True)
