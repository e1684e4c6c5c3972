"""Identical requests share one call to the provider, in this worker and across workers."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import orjson

from proxy.core.answers import CachedAnswer, CompleteAnswer, ErrorAnswer
from proxy.core.caching.envelope import Envelope
from proxy.core.errors import ToolUnavailable, UpstreamInvalid
from proxy.core.event_loop import wait_loop_time
from proxy.core.flights import Flight, FlightResult
from proxy.core.formats.usage import Usage
from proxy.core.ports import LeaseClaim, Leases
from proxy.core.upstream_replies import BroadcastReply, FollowerReply
from proxy.pipeline.accounting import removed_tokens, savings
from proxy.pipeline.cache_access import (
    cache_seconds_left,
    decode_exact,
    in_scope,
    is_fresh,
    is_invalidated,
    min_revision,
)
from proxy.pipeline.call import Answer, Call, StreamingAnswer, evolve
from proxy.pipeline.clients import SharedClient
from proxy.pipeline.coalescing import apply_flight_result, wait_for_flight
from proxy.pipeline.toolbox import Toolbox

# Is the very same request on its way already? Then its answer is ours too, and nothing is embedded,
# compressed or paid twice.


async def join_flight(call: Call, tools: Toolbox) -> Call:
    """Follow an identical request of this worker to its answer,
    or lead those that will follow this one."""
    if not _may_share(call) or call.cache_keys is None:
        return call
    while True:
        flight, leads = tools.flights.join(
            call.cache_keys.exact, arrived=call.body_read_at, revision=call.config.revision
        )
        if not leads and flight.revision < min_revision(call):  # it asked before that was forgotten
            flight.remove_follower()
            return call
        if leads:
            _abandon_with_task(flight)
            return evolve(call, flight=flight, client=SharedClient(call.client, flight))
        try:
            landing, call = await wait_for_flight(call, flight)
        except BaseException:
            flight.remove_follower()
            raise
        if landing is None or (landing.answer is not None and _accepts_result(call, landing)):
            return apply_flight_result(evolve(call, flight=flight), landing, FollowerReply(flight))
        flight.remove_follower()
        if landing.answer is not None or landing.is_unshared:
            return call
        # It was given up: the first of those who waited leads.


def _may_share(call: Call) -> bool:
    """Only what the exact tier would answer and keep;
    everything else goes its own way and never waits."""
    cached = (
        call.reads_cache
        and call.writes_cache
        and call.has_exact_tier
        and call.plan is not None
        and call.plan.mode == "active"
    )
    return cached and not call.chat_request.cache_controls.only_if_cached


def _abandon_with_task(flight: Flight) -> None:
    """However the leader ends, a server that stops in haste included,
    nobody waits for it afterwards."""
    task = asyncio.current_task()
    if task is not None:
        task.add_done_callback(lambda _: flight.abandon())


def _accepts_result(call: Call, landing: FlightResult) -> bool:
    """Whether what the leader found in a cache is good enough for this request's own wishes too."""
    answer, wishes = landing.answer, call.chat_request.cache_controls
    if isinstance(answer, CachedAnswer) and is_invalidated(call, answer.envelope):
        return False
    if landing.was_called or not isinstance(answer, CachedAnswer):
        return True
    return is_fresh(call, answer.envelope) and wishes.similarity_threshold is None


# Does another worker make this very call? Then its answer is ours too. One round trip, on a miss
# only.

LeaseReply = TypeVar("LeaseReply")
MIN_LEASE_SECONDS = 0.02  # seconds, however late it is
RETRY_DELAY_SECONDS = 0.1  # seconds until a lease is asked for again whose holder fell silent
MAX_LEASE_ATTEMPTS = 50  # of asking; a lease that outlives its holder by more is none


async def acquire_lease(call: Call, tools: Toolbox) -> Call:
    """Take the lease for the call, or follow the worker that has it.

    Raises ToolUnavailable: then this worker calls by itself.
    """
    if tools.leases is None or call.flight is None or not call.is_leader:
        return call
    leases, flight = tools.leases, call.flight
    for _ in range(MAX_LEASE_ATTEMPTS):
        if call.answer is not None or call.outcome != "ok":
            break
        claim = await _run_lease_call(call, tools, partial(leases.claim_flight, flight))
        if claim.is_ours:
            return await _use_stored_answer(call, tools, claim)
        mirror = await _run_lease_call(
            call, tools, partial(leases.follow_flight, flight.key, claim.holder)
        )
        landing, call = await _follow_remote(call, mirror, leases)
        if landing is not None and landing.is_unshared:
            return call  # its answer is nobody else's: this worker calls by itself
        if call.answer is None and call.outcome == "ok":
            await asyncio.sleep(RETRY_DELAY_SECONDS)
    return call


async def _run_lease_call(
    call: Call, tools: Toolbox, work: Callable[[], Coroutine[Any, Any, LeaseReply]]
) -> LeaseReply:
    """What Redis says, in the time that is left or in little more:
    before a crowd, the look-ups used it up waiting for their turn."""
    asking = wait_loop_time(
        work, seconds=max(cache_seconds_left(call), MIN_LEASE_SECONDS), tool="flights"
    )
    return await tools.breakers["flights"].run(asking, seconds=tools.limits.store_seconds)


async def _use_stored_answer(call: Call, tools: Toolbox, claim: LeaseClaim) -> Call:
    """The call, answered if the answer was stored between the look-up and the claim."""
    if claim.stored_value is None or call.cache_keys is None:
        return call
    envelope = await decode_exact(call, tools, call.cache_keys.exact, claim.stored_value)
    if envelope is None or is_invalidated(call, envelope) or not is_fresh(call, envelope):
        return call
    return evolve(
        call,
        tier="exact",
        answer=CachedAnswer(
            envelope, "exact", envelope.asked_tokens, entry_id=call.cache_keys.exact
        ),
    )


async def _follow_remote(
    call: Call, mirror: Flight, leases: Leases
) -> tuple[FlightResult | None, Call]:
    """What came of it, and the call with the other worker's answer;
    as it was when that fell silent."""
    landing = None
    try:
        landing, call = await wait_for_flight(call, mirror)
    finally:
        if landing is not None or call.outcome != "ok":
            await leases.stop_following(mirror)
    if landing is not None and not _is_usable_result(call, landing):
        return landing, call
    return landing, apply_flight_result(
        call, landing, FollowerReply(mirror, partial(leases.stop_following, mirror))
    )


def _is_usable_result(call: Call, landing: FlightResult) -> bool:
    """Whether it is an answer, and for those who ask:
    what comes from outside is not trusted with that."""
    answer = landing.answer
    return answer is not None and (
        not isinstance(answer, CachedAnswer)
        or (in_scope(call, answer.envelope) and not is_invalidated(call, answer.envelope))
    )


# Let those who follow hear a stream while it arrives.


async def broadcast(call: Call, tools: Toolbox) -> Call:
    """Pass a leader's live answer on to its flight."""
    if call.flight is None or not call.is_leader or not isinstance(call.answer, StreamingAnswer):
        return call
    reply = call.answer.reply
    call.flight.begin_stream(
        cut=reply.flight.removed_tokens
        if isinstance(reply, FollowerReply)
        else removed_tokens(call)
    )
    return evolve(call, answer=StreamingAnswer(BroadcastReply(reply, call.flight)))


# Give those who wait the answer; and what was heard of another's call is a hit, with nothing billed
# for it.


async def complete_flight(call: Call, tools: Toolbox) -> Call:
    """Settle a followed stream as the exact hit it is,
    and land the flight that this request leads."""
    shared = call
    if call.coalesced and isinstance(call.answer, StreamingAnswer):
        call = _settle_as_hit(call)
    if call.flight is not None and call.is_leader:
        answer = call.answer if isinstance(call.answer, CachedAnswer) else _shared_answer(shared)
        called = call.coalesced or call.attempts > 0
        call.flight.complete(
            FlightResult(is_unshared=True)
            if _is_unshareable(shared)
            else FlightResult(answer, was_called=called)
        )
    return call


def _is_unshareable(call: Call) -> bool:
    """Whether the provider's answer was passed on as it came and not understood:
    nobody else can be given it."""
    if isinstance(call.answer, CompleteAnswer):
        return not call.answer.is_sound
    return (
        isinstance(call.answer, StreamingAnswer)
        and call.outcome == "ok"
        and call.completion is None
    )


def _settle_as_hit(call: Call) -> Call:
    """A followed stream that came to its end is served like a stored answer;
    of one that did not, nothing was billed either."""
    if call.outcome != "ok" or call.cache_keys is None:
        return evolve(call, usage=Usage())
    return evolve(
        call,
        answer=CachedAnswer(
            _build_shared_envelope(call, call.cache_keys.scope), "exact", _count_prompt_tokens(call)
        ),
        usage=Usage(),
    )


def _shared_answer(call: Call) -> CachedAnswer | CompleteAnswer | ErrorAnswer | None:
    """The answer for everybody.

    A completion goes to all who asked for it, whether it may be kept or not; a stream that broke
    off is an error to those who could not hear it; None when the provider was not asked to the end.
    """
    answer: Answer | None = call.answer
    if isinstance(answer, ErrorAnswer) or (
        isinstance(answer, CompleteAnswer) and answer.completion is None
    ):
        return answer
    if answer is None or call.cache_keys is None or call.outcome == "client_closed":
        return None
    if isinstance(answer, StreamingAnswer) and call.outcome != "ok":
        return call.stream_fault or ErrorAnswer(UpstreamInvalid("The upstream's stream broke off."))
    return CachedAnswer(
        _build_shared_envelope(call, call.cache_keys.scope), "exact", _count_prompt_tokens(call)
    )


def _count_prompt_tokens(call: Call) -> int:
    """Prompt tokens as asked: as billed, and what was cut before."""
    reply = call.answer.reply if isinstance(call.answer, StreamingAnswer) else None
    # Else we counted the whole prompt ourselves.
    if isinstance(reply, FollowerReply) and not call.usage.is_estimated:
        return call.usage.prompt_tokens + reply.flight.removed_tokens
    return savings(call).prompt_tokens


def _build_shared_envelope(call: Call, scope: str) -> Envelope:
    """The answer as a hit is served from. It is never stored, so it has no life of its own."""
    assert call.plan is not None  # noqa: S101 -- nothing is shared without a plan
    now = time.time()
    return Envelope(
        scope=scope,
        plan_id=call.plan.id,
        created_at=now,
        expires_at=now,
        completion=call.answer.body
        if isinstance(call.answer, CompleteAnswer)
        else orjson.dumps(call.completion or {}),
        asked_tokens=_count_prompt_tokens(call),
        question_tokens=0,
        completion_tokens=call.usage.completion_tokens,
        estimated=call.usage.is_estimated,
        revision=call.config.revision,
        tags=call.chat_request.cache_controls.tags,
    )


# The flight is over: whoever asks the same from now on finds the stored answer, or asks the
# provider anew.

log = logging.getLogger("tokenthrift.proxy")


async def leave_flight(call: Call, tools: Toolbox) -> Call:
    """Leave the flight; its leader closes it, gives the lease back (else it lapses)
    and sees its own client served."""
    if call.flight is None:
        return call
    if not isinstance(call.client, SharedClient):
        call.flight.remove_follower()
        return call
    tools.flights.close_flight(call.flight, now=time.monotonic())
    if tools.leases is not None:
        try:
            await tools.breakers["flights"].run(
                tools.leases.release_flight(call.flight), seconds=tools.limits.store_seconds
            )
        except ToolUnavailable as error:
            log.log(
                error.log_level,
                "request %s: its lease is left to lapse: %s",
                call.request_id,
                error.reason,
            )
    await call.client.wait_sent()
    return call
