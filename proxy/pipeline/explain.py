"""Every decision about a request, by the stages that make them: nobody is asked upstream, nothing is stored, nothing is recorded."""

import time
from dataclasses import dataclass, replace

from proxy.core.answers import Stored
from proxy.core.errors import ToolUnavailable
from proxy.core.ports import Candidate, ExactCache
from proxy.pipeline.call import Call, revise
from proxy.pipeline.chain import DECIDE
from proxy.pipeline.stage import open_stage
from proxy.pipeline.stages.cache_scope import scope
from proxy.pipeline.stages.holdout import hold
from proxy.pipeline.stages.load_plan import load_plan
from proxy.pipeline.stages.parse import parse
from proxy.pipeline.stages.shadow import withhold
from proxy.pipeline.toolbox import Toolbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """`decided`: the call where it would go upstream or answer. `looked`: the same call when no answer ends the looking, so that it has the
    neighbours of an exact hit and the cut of any. `hit`: what was found first. `nearest`: neighbours, whatever their similarity; `floor`:
    the cosine below which none is a candidate; `held_out`: whether the chat's lot says that it goes without its plan today, whatever was
    decided here; None where no lot is drawn, or nobody knows whose key asks."""

    decided: Call
    looked: Call
    hit: Stored | None
    nearest: tuple[Candidate, ...]
    floor: float
    held_out: bool | None = None


class Onlooker:
    """An exact cache that is only read: whoever looks on claims no renewal, which a client's request would then not begin."""

    def __init__(self, exact: ExactCache) -> None:
        self.get = exact.get

    async def set(self, key: str, value: bytes, ttl: int) -> None: ...
    async def delete(self, *keys: str) -> None: ...
    async def claim(self, name: str, seconds: int) -> bool:
        return False

    async def close(self) -> None: ...


async def explain(call: Call, tools: Toolbox, *, plan: str, neighbours: int, seconds: float) -> Explained:
    """What would become of this request (key, directory and raw body set) under the plan of that name, within about `seconds`.

    Raises GatewayError where the request would be refused.
    """
    tools = replace(tools, exact=Onlooker(tools.exact))
    call = await parse(call, tools)
    call = revise(call, request=replace(call.asked, plan_name=plan))
    call = await load_plan(call, tools)
    lot = (await hold(call, tools)).lot if call.key and call.key.id else None
    call = await scope(call, tools)
    now = time.monotonic()
    call = revise(call, ready=now, budget_ends=now + seconds)
    first: Call | None = None
    for stage in DECIDE:
        call = await open_stage(stage, call, tools)
        if isinstance(call.answer, Stored):
            first = first or call
            call = revise(call, answer=None, tier="miss")
    hit = first.answer if first and isinstance(first.answer, Stored) else None
    nearest = await _nearest(call, tools, neighbours)
    return Explained(
        decided=withhold(first or call), looked=call, hit=hit, nearest=nearest, floor=tools.limits.floor, held_out=lot.held if lot else None
    )


async def _nearest(call: Call, tools: Toolbox, limit: int) -> tuple[Candidate, ...]:
    if call.vector is None or call.keys is None or call.keys.bucket is None or call.plan is None or call.plan.cache is None:
        return ()
    backend = tools.semantic[call.plan.cache.backend or ""]
    try:
        return tuple(await backend.nearest(call.keys.bucket, call.vector, floor=-1.0, limit=limit))
    except ToolUnavailable:  # noted already when the decision was made
        return ()
