"""Does another worker make this very call? Then its answer is ours too. One round trip, on a miss only."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from proxy.core.exchange import Call, Stored, revise
from proxy.core.fair import fairly
from proxy.core.flights import Flight, Landing
from proxy.core.following import answered, wait_for
from proxy.core.forgetting import forgotten
from proxy.core.ports import Claim, Leases, Toolbox
from proxy.core.reading import fresh_enough, open_exact, ours, time_left
from proxy.core.replies import Followed

Result = TypeVar("Result")
LEAST = 0.02  # seconds, however late it is
AGAIN = 0.1  # seconds until a lease is asked for again whose holder fell silent
MAX_ROUNDS = 50  # of asking; a lease that outlives its holder by more is none


async def lease(call: Call, tools: Toolbox) -> Call:
    """Take the lease for the call, or follow the worker that has it. Raises ToolUnavailable: then this worker calls by itself."""
    if tools.leases is None or call.flight is None or not call.leads:
        return call
    leases, flight = tools.leases, call.flight
    for _ in range(MAX_ROUNDS):
        if call.answer is not None or call.outcome != "ok":
            break
        claim = await _asked(call, tools, partial(leases.claim, flight))
        if claim.held:
            return await _stored(call, tools, claim)
        mirror = await _asked(call, tools, partial(leases.follow, flight.key, claim.holder))
        landing, call = await _follow(call, mirror, leases)
        if landing is not None and landing.alone:
            return call  # its answer is nobody else's: this worker calls by itself
        if call.answer is None and call.outcome == "ok":
            await asyncio.sleep(AGAIN)
    return call


async def _asked(call: Call, tools: Toolbox, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """What Redis says, in the time that is left or in little more: before a crowd, the look-ups used it up waiting for their turn."""
    asking = fairly(work, seconds=max(time_left(call), LEAST), tool="flights")
    return await tools.breakers["flights"].run(asking, seconds=tools.limits.store_budget)


async def _stored(call: Call, tools: Toolbox, claim: Claim) -> Call:
    """The call, answered if the answer was stored between the look-up and the claim."""
    if claim.stored is None or call.keys is None:
        return call
    envelope = await open_exact(call, tools, call.keys.exact, claim.stored)
    if envelope is None or forgotten(call, envelope) or not fresh_enough(call, envelope):
        return call
    return revise(call, tier="exact", answer=Stored(envelope, "exact", envelope.asked_tokens, entry_id=call.keys.exact))


async def _follow(call: Call, mirror: Flight, leases: Leases) -> tuple[Landing | None, Call]:
    """What came of it, and the call with the other worker's answer; as it was when that fell silent."""
    landing = None
    try:
        landing, call = await wait_for(call, mirror)
    finally:
        if landing is not None or call.outcome != "ok":
            await leases.quit(mirror)
    if landing is not None and not _usable(call, landing):
        return landing, call
    return landing, answered(call, landing, Followed(mirror, partial(leases.quit, mirror)))


def _usable(call: Call, landing: Landing) -> bool:
    """Whether it is an answer, and for those who ask: what comes from outside is not trusted with that."""
    answer = landing.answer
    return answer is not None and (not isinstance(answer, Stored) or (ours(call, answer.envelope) and not forgotten(call, answer.envelope)))
