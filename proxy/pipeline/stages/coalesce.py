"""Coalesce identical requests into one upstream call, within this worker and across workers."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeGuard, TypeVar

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

# If the identical request is in flight already, its answer is ours too: nothing is embedded,
# compressed or paid for twice.


async def join_flight(call: Call, tools: Toolbox) -> Call:
    """Follow an identical request of this worker to its answer, or become the leader."""
    if not _may_share(call) or call.cache_keys is None:
        return call
    while True:
        flight, leads = tools.flights.join(
            call.cache_keys.exact, arrived=call.body_read_at, revision=call.config.revision
        )
        if not leads and flight.revision < min_revision(call):  # it was sent before an invalidation
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
        # The flight was abandoned: the first of its followers leads a new one.


def _may_share(call: Call) -> bool:
    """Whether the exact tier would answer and store the request; others never wait."""
    cached = (
        call.reads_cache
        and call.writes_cache
        and call.has_exact_tier
        and call.plan is not None
        and call.plan.mode == "active"
    )
    return cached and not call.chat_request.cache_controls.only_if_cached


def _abandon_with_task(flight: Flight) -> None:
    """Abandon the flight when the leader's task ends, even if the server is stopping."""
    task = asyncio.current_task()
    if task is not None:
        task.add_done_callback(lambda _: flight.abandon())


def _accepts_result(call: Call, landing: FlightResult) -> bool:
    """Whether an answer that the leader found in a cache also meets this request's controls."""
    answer, wishes = landing.answer, call.chat_request.cache_controls
    if isinstance(answer, CachedAnswer) and is_invalidated(call, answer.envelope):
        return False
    if landing.was_called or not isinstance(answer, CachedAnswer):
        return True
    return is_fresh(call, answer.envelope) and wishes.similarity_threshold is None


# If another worker is making this call, its answer is ours too. One round trip, on a miss only.

LeaseReply = TypeVar("LeaseReply")
MIN_LEASE_SECONDS = 0.02  # the least time allowed, however late it is
RETRY_DELAY_SECONDS = 0.1  # before claiming again a lease whose holder fell silent
MAX_LEASE_ATTEMPTS = 50  # a lease held for longer without an answer is ignored


async def acquire_lease(call: Call, tools: Toolbox) -> Call:
    """Acquire the lease for this call, or follow the worker that holds it.

    Raises ToolUnavailable: then this worker makes the call itself.
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
            return call  # its answer cannot be shared: this worker makes the call itself
        if call.answer is None and call.outcome == "ok":
            await asyncio.sleep(RETRY_DELAY_SECONDS)
    return call


async def _run_lease_call(
    call: Call, tools: Toolbox, work: Callable[[], Coroutine[Any, Any, LeaseReply]]
) -> LeaseReply:
    """Run a lease command in the time left for cache work, or a little more."""
    # Under a burst the lookups used the time up while they waited for the event loop.
    asking = wait_loop_time(
        work, seconds=max(cache_seconds_left(call), MIN_LEASE_SECONDS), tool="flights"
    )
    return await tools.breakers["flights"].run(asking, seconds=tools.limits.store_seconds)


async def _use_stored_answer(call: Call, tools: Toolbox, claim: LeaseClaim) -> Call:
    """Answer the call if its answer was stored between the lookup and the claim."""
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
    """Return another worker's result, and the call with its answer or stream, if it had any."""
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
    """Whether the result is an answer of this call's scope that was not invalidated."""
    answer = landing.answer
    # It comes from another process, so its scope is checked here.
    return answer is not None and (
        not isinstance(answer, CachedAnswer)
        or (in_scope(call, answer.envelope) and not is_invalidated(call, answer.envelope))
    )


# Broadcast a stream to the followers while it arrives.


async def broadcast(call: Call, tools: Toolbox) -> Call:
    """Copy a leader's stream to its flight; a failed call takes no more followers."""
    if call.flight is None or not call.is_leader:
        return call
    if not isinstance(call.answer, StreamingAnswer):
        if _is_failure(call.answer):
            call.flight.refuse_later_requests()
        return call
    reply = call.answer.reply
    call.flight.begin_stream(
        cut=reply.flight.removed_tokens
        if isinstance(reply, FollowerReply)
        else removed_tokens(call)
    )
    return evolve(call, answer=StreamingAnswer(BroadcastReply(reply, call.flight)))


# The followers get the answer; for a follower it is an exact hit with nothing billed.


async def complete_flight(call: Call, tools: Toolbox) -> Call:
    """Turn a followed stream into an exact hit, and complete the flight that this request leads."""
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
    """Whether the provider's answer was passed on without being understood."""
    if isinstance(call.answer, CompleteAnswer):
        return not call.answer.is_sound
    return (
        isinstance(call.answer, StreamingAnswer)
        and call.outcome == "ok"
        and call.completion is None
    )


def _settle_as_hit(call: Call) -> Call:
    """Turn a followed stream into an exact hit; if it did not end well, only clear its usage."""
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
    """Return the leader's answer for its followers; None if the call was not made to the end.

    A completion goes to all followers, whether it may be stored or not; a stream that broke off is
    an error for those that did not receive it as a stream.
    """
    answer: Answer | None = call.answer
    if _is_failure(answer):
        return answer
    if answer is None or call.cache_keys is None or call.outcome == "client_closed":
        return None
    if isinstance(answer, StreamingAnswer) and call.outcome != "ok":
        return call.stream_fault or ErrorAnswer(UpstreamInvalid("The upstream's stream broke off."))
    return CachedAnswer(
        _build_shared_envelope(call, call.cache_keys.scope), "exact", _count_prompt_tokens(call)
    )


def _is_failure(answer: Answer | None) -> TypeGuard[ErrorAnswer | CompleteAnswer]:
    """Whether the answer is an error, ours or the provider's."""
    return isinstance(answer, ErrorAnswer) or (
        isinstance(answer, CompleteAnswer) and answer.completion is None
    )


def _count_prompt_tokens(call: Call) -> int:
    """Return the prompt tokens as asked: those billed plus those that compression removed."""
    reply = call.answer.reply if isinstance(call.answer, StreamingAnswer) else None
    # Otherwise we counted the uncompressed prompt ourselves.
    if isinstance(reply, FollowerReply) and not call.usage.is_estimated:
        return call.usage.prompt_tokens + reply.flight.removed_tokens
    return savings(call).prompt_tokens


def _build_shared_envelope(call: Call, scope: str) -> Envelope:
    """Build the envelope that followers are served from."""
    assert call.plan is not None  # noqa: S101 -- only requests under a plan are coalesced
    # It is never stored, so it expires at once.
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


# The flight is over: identical requests now find the stored answer, or call the provider anew.

log = logging.getLogger("tokenthrift.proxy")


async def leave_flight(call: Call, tools: Toolbox) -> Call:
    """Leave the flight; the leader closes it, releases its lease and waits for its own client."""
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
