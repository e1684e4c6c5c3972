"""Identical requests share one call to the provider, in this worker and across workers."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import orjson

from proxy.core.answers import Refused, Stored, Whole
from proxy.core.caching.envelope import Envelope
from proxy.core.errors import ToolUnavailable, UpstreamInvalid
from proxy.core.event_loop import fairly
from proxy.core.flights import Flight, Landing
from proxy.core.formats.usage import Usage
from proxy.core.ports import Claim, Leases
from proxy.core.upstream_replies import Followed, Overheard
from proxy.pipeline.accounting import tokens_cut, worth
from proxy.pipeline.cache_access import forgotten, fresh_enough, open_exact, ours, since, time_left
from proxy.pipeline.call import Answer, Call, Live, revise
from proxy.pipeline.clients import Led
from proxy.pipeline.coalescing import answered, wait_for
from proxy.pipeline.toolbox import Toolbox

# Is the very same request on its way already? Then its answer is ours too, and nothing is embedded,
# compressed or paid twice.


async def join(call: Call, tools: Toolbox) -> Call:
    """Follow an identical request of this worker to its answer, or lead those that will follow this one."""
    if not _shares(call) or call.keys is None:
        return call
    while True:
        flight, leads = tools.flights.board(call.keys.exact, arrived=call.ready, revision=call.directory.revision)
        if not leads and flight.revision < since(call):  # it asked before that was forgotten
            flight.leave()
            return call
        if leads:
            _abandoned_with_its_task(flight)
            return revise(call, flight=flight, client=Led(call.client, flight))
        try:
            landing, call = await wait_for(call, flight)
        except BaseException:
            flight.leave()
            raise
        if landing is None or (landing.answer is not None and _takes(call, landing)):
            return answered(revise(call, flight=flight), landing, Followed(flight))
        flight.leave()
        if landing.answer is not None or landing.alone:
            return call
        # It was given up: the first of those who waited leads.


def _shares(call: Call) -> bool:
    """Only what the exact tier would answer and keep; everything else goes its own way and never waits."""
    cached = call.reads and call.writes and call.exact_tier and call.plan is not None and call.plan.mode == "active"
    return cached and not call.asked.controls.only_if_cached


def _abandoned_with_its_task(flight: Flight) -> None:
    """However the leader ends, a server that stops in haste included, nobody waits for it afterwards."""
    task = asyncio.current_task()
    if task is not None:
        task.add_done_callback(lambda _: flight.abandon())


def _takes(call: Call, landing: Landing) -> bool:
    """Whether what the leader found in a cache is good enough for this request's own wishes too."""
    answer, wishes = landing.answer, call.asked.controls
    if isinstance(answer, Stored) and forgotten(call, answer.envelope):
        return False
    if landing.called or not isinstance(answer, Stored):
        return True
    return fresh_enough(call, answer.envelope) and wishes.similarity_threshold is None


# Does another worker make this very call? Then its answer is ours too. One round trip, on a miss
# only.

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
        claim = await _ask_redis(call, tools, partial(leases.claim, flight))
        if claim.held:
            return await _stored(call, tools, claim)
        mirror = await _ask_redis(call, tools, partial(leases.follow, flight.key, claim.holder))
        landing, call = await _follow(call, mirror, leases)
        if landing is not None and landing.alone:
            return call  # its answer is nobody else's: this worker calls by itself
        if call.answer is None and call.outcome == "ok":
            await asyncio.sleep(AGAIN)
    return call


async def _ask_redis(call: Call, tools: Toolbox, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
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


# Let those who follow hear a stream while it arrives.


async def share(call: Call, tools: Toolbox) -> Call:
    """Pass a leader's live answer on to its flight."""
    if call.flight is None or not call.leads or not isinstance(call.answer, Live):
        return call
    reply = call.answer.reply
    call.flight.begin(cut=reply.flight.cut if isinstance(reply, Followed) else tokens_cut(call))
    return revise(call, answer=Live(Overheard(reply, call.flight)))


# Give those who wait the answer; and what was heard of another's call is a hit, with nothing billed
# for it.


async def land(call: Call, tools: Toolbox) -> Call:
    """Settle a followed stream as the exact hit it is, and land the flight that this request leads."""
    shared = call
    if call.collapsed and isinstance(call.answer, Live):
        call = _as_hit(call)
    if call.flight is not None and call.leads:
        answer = call.answer if isinstance(call.answer, Stored) else _answer(shared)
        called = call.collapsed or call.attempts > 0
        call.flight.land(Landing(alone=True) if _is_alone(shared) else Landing(answer, called=called))
    return call


def _is_alone(call: Call) -> bool:
    """Whether the provider's answer was passed on as it came and not understood: nobody else can be given it."""
    if isinstance(call.answer, Whole):
        return not call.answer.sound
    return isinstance(call.answer, Live) and call.outcome == "ok" and call.completion is None


def _as_hit(call: Call) -> Call:
    """A followed stream that came to its end is served like a stored answer; of one that did not, nothing was billed either."""
    if call.outcome != "ok" or call.keys is None:
        return revise(call, usage=Usage())
    return revise(call, answer=Stored(_envelope(call, call.keys.scope), "exact", _prompt_tokens(call)), usage=Usage())


def _answer(call: Call) -> Stored | Whole | Refused | None:
    """The answer for everybody. A completion goes to all who asked for it, whether it may be kept or not; a stream that broke off is an
    error to those who could not hear it; None when the provider was not asked to the end."""
    answer: Answer | None = call.answer
    if isinstance(answer, Refused) or (isinstance(answer, Whole) and answer.completion is None):
        return answer
    if answer is None or call.keys is None or call.outcome == "client_closed":
        return None
    if isinstance(answer, Live) and call.outcome != "ok":
        return call.fault or Refused(UpstreamInvalid("The upstream's stream broke off."))
    return Stored(_envelope(call, call.keys.scope), "exact", _prompt_tokens(call))


def _prompt_tokens(call: Call) -> int:
    """Prompt tokens as asked: as billed, and what was cut before."""
    reply = call.answer.reply if isinstance(call.answer, Live) else None
    if isinstance(reply, Followed) and not call.usage.estimated:  # else we counted the whole prompt ourselves
        return call.usage.prompt + reply.flight.cut
    return worth(call).asked


def _envelope(call: Call, scope: str) -> Envelope:
    """The answer as a hit is served from. It is never stored, so it has no life of its own."""
    assert call.plan is not None  # noqa: S101 -- nothing is shared without a plan
    now = time.time()
    return Envelope(
        scope=scope,
        plan_id=call.plan.id,
        created_at=now,
        expires_at=now,
        completion=call.answer.body if isinstance(call.answer, Whole) else orjson.dumps(call.completion or {}),
        asked_tokens=_prompt_tokens(call),
        question_tokens=0,
        completion_tokens=call.usage.completion,
        estimated=call.usage.estimated,
        revision=call.directory.revision,
        tags=call.asked.controls.tags,
    )


# The flight is over: whoever asks the same from now on finds the stored answer, or asks the
# provider anew.

log = logging.getLogger("tokenthrift.proxy")


async def part(call: Call, tools: Toolbox) -> Call:
    """Leave the flight; its leader closes it, gives the lease back (else it lapses) and sees its own client served."""
    if call.flight is None:
        return call
    if not isinstance(call.client, Led):
        call.flight.leave()
        return call
    tools.flights.close(call.flight, now=time.monotonic())
    if tools.leases is not None:
        try:
            await tools.breakers["flights"].run(tools.leases.release(call.flight), seconds=tools.limits.store_budget)
        except ToolUnavailable as error:
            log.log(error.log_level, "request %s: its lease is left to lapse: %s", call.request_id, error.reason)
    await call.client.sent()
    return call
