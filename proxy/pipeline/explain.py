"""Run the deciding stages for a request without calling upstream, storing or recording anything."""

import time
from dataclasses import dataclass, replace

from proxy.core.answers import CachedAnswer
from proxy.core.errors import ToolUnavailable
from proxy.core.plan_resolution import ResolvedPlan, resolve_plan
from proxy.core.ports import Candidate, ExactCache
from proxy.pipeline.call import Call, evolve
from proxy.pipeline.chain import LOOKUP
from proxy.pipeline.stage import run_stage
from proxy.pipeline.stages.cache_scope import cache_scope
from proxy.pipeline.stages.holdout import assign_holdout
from proxy.pipeline.stages.load_plan import load_plan
from proxy.pipeline.stages.parse import parse
from proxy.pipeline.stages.shadow import withhold_hit_in_shadow
from proxy.pipeline.toolbox import Toolbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Every decision about a request.

    `decided_call`: the call at the point where it would answer or go upstream. `full_lookup`: the
    same call if no hit ends the lookup, so that it has the candidates of an exact hit and the
    compression of any. `hit`: the first one found. `nearest_candidates`: neighbours of any
    similarity; `min_similarity`: the cosine below which none is a candidate. `is_held_out`: whether
    the conversation is in today's holdout, whatever was decided here; None without a holdout or
    without a known key. `as_sent`: the plan that would apply to the request as it was sent.
    """

    decided_call: Call
    full_lookup: Call
    hit: CachedAnswer | None
    nearest_candidates: tuple[Candidate, ...]
    min_similarity: float
    as_sent: ResolvedPlan
    is_held_out: bool | None = None


class ReadOnlyCache:
    """An exact cache that ignores writes and grants no claims."""

    def __init__(self, exact: ExactCache) -> None:
        self.get = exact.get

    async def set(self, key: str, value: bytes, ttl: int) -> None: ...
    async def delete(self, *keys: str) -> None: ...
    # A claim taken here would keep a client's request from revalidating.
    async def claim(self, name: str, seconds: int) -> bool:
        return False

    async def close(self) -> None: ...


async def explain_request(
    call: Call, tools: Toolbox, *, plan: str, neighbours: int, seconds: float
) -> Explanation:
    """Explain what would happen to a request under the plan named `plan`.

    `call` has its key, configuration and raw body set. `seconds`: about how long it may take.
    Raises GatewayError if the request would be refused.
    """
    tools = replace(tools, exact_cache=ReadOnlyCache(tools.exact_cache))
    call = await parse(call, tools)
    asked = call.asked_plan
    call = evolve(call, request=replace(call.chat_request, plan_name=plan))
    call = await load_plan(call, tools)
    as_sent = _resolve_as_sent(call, asked)
    lot = (await assign_holdout(call, tools)).holdout if call.key and call.key.id else None
    call = await cache_scope(call, tools)
    now = time.monotonic()
    call = evolve(call, body_read_at=now, cache_deadline=now + seconds)
    first: Call | None = None
    for stage in LOOKUP:
        call = await run_stage(stage, call, tools)
        if isinstance(call.answer, CachedAnswer):
            first = first or call
            call = evolve(call, answer=None, tier="miss")
    hit = first.answer if first and isinstance(first.answer, CachedAnswer) else None
    nearest = await _find_nearest(call, tools, neighbours)
    return Explanation(
        decided_call=withhold_hit_in_shadow(first or call),
        full_lookup=call,
        hit=hit,
        nearest_candidates=nearest,
        min_similarity=tools.limits.min_similarity,
        is_held_out=lot.is_held_out if lot else None,
        as_sent=as_sent,
    )


def _resolve_as_sent(call: Call, asked: str | None) -> ResolvedPlan:
    """Resolve the plan of the request as if none were to be explained."""
    assert call.key is not None, "explained with a key"  # noqa: S101 -- likewise `load_plan`
    route_plan_id = call.resolved_route.default_plan_id
    return resolve_plan(call.config, call.key, asked=asked, route_plan_id=route_plan_id)


async def _find_nearest(call: Call, tools: Toolbox, limit: int) -> tuple[Candidate, ...]:
    if (
        call.vector is None
        or call.cache_keys is None
        or call.cache_keys.bucket is None
        or call.plan is None
        or call.plan.cache is None
    ):
        return ()
    backend = tools.select_index(call.plan.cache).caches[call.plan.cache.backend or ""]
    try:
        return tuple(
            await backend.find_nearest(call.cache_keys.bucket, call.vector, floor=-1.0, limit=limit)
        )
    except ToolUnavailable:  # noted already when the decision was made
        return ()
