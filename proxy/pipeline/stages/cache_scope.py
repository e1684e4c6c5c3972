"""Derive the scope: which stored answers may serve this request, and where its own is stored."""

from proxy.core.caching.cache_keys import digest_extras, exact_key, scope_digest
from proxy.core.event_loop import run_off_loop
from proxy.pipeline.call import CacheKeys, Call, evolve
from proxy.pipeline.toolbox import Toolbox


async def cache_scope(call: Call, tools: Toolbox) -> Call:
    """Set `reads_cache`, `writes_cache` and the exact key, or the reason for a bypass."""
    plan, request = call.plan, call.chat_request
    if plan is None or call.key is None or plan.mode == "off":
        return call
    if plan.cache is None or not (plan.cache.exact or plan.cache.backend):
        return evolve(call, reason="no-cache-in-plan")
    if request.cache_controls.no_store:
        return evolve(call, reason="no-store")
    digest = scope_digest(
        plan,
        call.key,
        user=request.user,
        namespace=request.cache_controls.namespace,
        extras=digest_extras(call.resolved_route, call.forwarded_headers),
    )
    if digest is None:
        return evolve(call, reason="no-scope")
    exact = await run_off_loop(
        request.size_bytes,
        exact_key,
        request.body,
        scope=digest,
        plan=plan,
        route=call.resolved_route,
    )
    keys = CacheKeys(scope=digest, exact=exact)
    fresh = request.cache_controls.no_cache
    return evolve(
        call,
        cache_keys=keys,
        tier="miss",
        reason="no-cache" if fresh else "",
        reads_cache=not fresh,
        writes_cache=True,
    )
