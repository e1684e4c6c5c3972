"""The stages of a request, in order: the table of contents of the gateway."""

import asyncio
import logging
import time

from proxy.core.answers import CachedAnswer, ErrorAnswer
from proxy.core.errors import ClientDisconnected, GatewayError, InternalFault
from proxy.core.formats.sse import encode_event
from proxy.core.upstream_headers import select_headers
from proxy.pipeline.background_calls import revalidation_call
from proxy.pipeline.call import Call, StageTime, evolve
from proxy.pipeline.clients import WatchedClient
from proxy.pipeline.ledger_records import build_event
from proxy.pipeline.sampling import check_sample, mark_abandoned
from proxy.pipeline.stage import Stage, run_stage
from proxy.pipeline.stage_labels import get_stage_label
from proxy.pipeline.stages.authenticate import authenticate
from proxy.pipeline.stages.cache_scope import cache_scope
from proxy.pipeline.stages.call_upstream import build_request, call_upstream
from proxy.pipeline.stages.coalesce import (
    acquire_lease,
    broadcast,
    complete_flight,
    join_flight,
    leave_flight,
)
from proxy.pipeline.stages.compress import compress
from proxy.pipeline.stages.embed import embed
from proxy.pipeline.stages.estimate_usage import estimate_usage
from proxy.pipeline.stages.exact_lookup import exact_lookup, exact_lookup_compressed
from proxy.pipeline.stages.holdout import assign_holdout
from proxy.pipeline.stages.limit import limit_concurrency
from proxy.pipeline.stages.load_plan import load_plan
from proxy.pipeline.stages.parse import parse, read_body
from proxy.pipeline.stages.record import record
from proxy.pipeline.stages.remember_conversation import remember_conversation
from proxy.pipeline.stages.respond import respond
from proxy.pipeline.stages.sample import sample_candidate, sample_hits
from proxy.pipeline.stages.semantic_lookup import semantic_lookup
from proxy.pipeline.stages.serve_stale import serve_stale
from proxy.pipeline.stages.shadow import undo_compression_in_shadow, withhold_hit_in_shadow
from proxy.pipeline.stages.store import check_storable, evict_invalid, store
from proxy.pipeline.stages.stream import stream
from proxy.pipeline.stages.threshold import error_budget_threshold, feedback_threshold
from proxy.pipeline.stages.verify import verify
from proxy.pipeline.toolbox import Toolbox

OPEN: tuple[Stage, ...] = (authenticate, limit_concurrency, read_body)  # may refuse, by raising
# may refuse too; reused for identical bytes (`proxy.core.caching.prepared_requests`)
PREPARE: tuple[Stage, ...] = (parse, load_plan, cache_scope)
# The fields that PREPARE sets.
PREPARED_FIELDS = (
    "request",
    "route",
    "forwarded_headers",
    "plan",
    "tier",
    "reason",
    "reads_cache",
    "writes_cache",
    "cache_keys",
)
LOOKUP: tuple[Stage, ...] = (  # reads and computes only, so that `explain` can run it
    exact_lookup,
    embed,
    feedback_threshold,
    semantic_lookup,
    error_budget_threshold,
    verify,
    sample_candidate,
    compress,
    exact_lookup_compressed,
)
# Stops at the first answer.
ANSWER: tuple[Stage, ...] = (
    assign_holdout,
    LOOKUP[0],
    join_flight,
    *LOOKUP[1:],
    undo_compression_in_shadow,
    acquire_lease,
    build_request,
    call_upstream,
)
# The client has its answer after this.
REPLY: tuple[Stage, ...] = (serve_stale, broadcast, respond, stream)
# After an expired answer was served; no client waits for it.
REVALIDATE: tuple[Stage, ...] = (embed, compress, build_request, call_upstream, respond, stream)
FINISH: tuple[Stage, ...] = (
    estimate_usage,
    check_storable,
    complete_flight,
    record,
    evict_invalid,
    store,
    remember_conversation,
    leave_flight,
    sample_hits,
)  # once, whatever happened
log = logging.getLogger("tokenthrift.proxy")


class _CallCancelled(asyncio.CancelledError):
    """Cancelled while the answer was being found; carries the call as far as it had come."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self.call = call


async def run(call: Call, tools: Toolbox) -> Call:
    """Take one request from its first byte to its ledger record.

    Raises nothing but CancelledError, and that only after the record.
    """
    door = WatchedClient(call.client)
    call = evolve(call, client=door)
    try:
        call = await _find_answer(call, tools)
        for stage in REPLY:
            call = await stage(call, tools)
        if call.needs_revalidation and isinstance(call.answer, CachedAnswer):
            call = revalidation_call(call, build_event(call), budget=tools.limits.cache_seconds)
            for stage in REVALIDATE:
                call = await run_stage(stage, call, tools)
    except ClientDisconnected:
        call = evolve(call, outcome="client_closed")
    except asyncio.CancelledError as stopped:
        call = mark_abandoned(
            evolve(
                stopped.call if isinstance(stopped, _CallCancelled) else call,
                outcome="client_closed",
            )
        )
        raise
    except Exception:
        log.exception("request %s failed while it was answered", call.request_id)
        call = await _report_fault(mark_abandoned(evolve(call, outcome="failed")), door, tools)
    finally:
        try:
            call = await _finish_call(call, tools)
        finally:
            tools.concurrency_limiter.release_slot(call.request_id)
        if call.sample_candidate is not None:
            tools.background_tasks.start_task(check_sample(call, tools))
    return call


async def _report_fault(call: Call, door: WatchedClient, tools: Toolbox) -> Call:
    """Send the client an error object, or an error event if a stream has begun."""
    fault = ErrorAnswer(InternalFault("The gateway failed; the fault is logged."))
    try:
        if door.status == 0:
            return await respond(
                evolve(call, answer=fault, completion=None, partial_completion=None), tools
            )
        if door.is_streaming and not door.is_finished:
            await call.client.send_body(
                b"\n\n" + encode_event(fault.error.error_object()), more=False
            )
    except ClientDisconnected:
        return evolve(call, outcome="client_closed")
    except Exception:
        log.exception("request %s: the client could not be told", call.request_id)
    return evolve(call, status=door.status or fault.error.status, stream_fault=fault)


async def _find_answer(call: Call, tools: Toolbox) -> Call:
    """Run the stages up to the answer; a refusal or a bug becomes an error answer."""
    times: list[StageTime] = []
    try:
        for stage in OPEN:
            call = await stage(call, tools)
        call = await _prepare_call(call, tools)
        begun = time.monotonic()
        for stage in ANSWER:
            if call.answer is not None or call.outcome != "ok":
                break
            call = withhold_hit_in_shadow(await run_stage(stage, call, tools))
            times.append((get_stage_label(stage.__name__), begun, begun := time.monotonic()))
    except GatewayError as error:
        return evolve(call, answer=ErrorAnswer(error), outcome="refused", stage_times=tuple(times))
    except ClientDisconnected:
        raise
    except asyncio.CancelledError as error:
        # The server stops; what was sent to the provider is recorded all the same.
        raise _CallCancelled(evolve(call, stage_times=tuple(times))) from error
    except Exception:
        log.exception("request %s failed", call.request_id)
        return evolve(
            mark_abandoned(call),
            answer=ErrorAnswer(InternalFault("The gateway failed; the fault is logged.")),
            outcome="failed",
        )
    return evolve(call, stage_times=tuple(times))


async def _prepare_call(call: Call, tools: Toolbox) -> Call:
    """Parse the request, load its plan and derive its keys, reusing them for identical bytes."""
    key = call.key
    assert key is not None  # noqa: S101 -- authenticate set it
    if call.config.passable_headers:
        passable = select_headers(call.headers, call.config.passable_headers)
        call = evolve(call, passable_headers=passable)
    asked = (
        key.id,
        call.cache_control,
        call.plan_header,
        call.passable_headers,
        call.raw_body,
    )
    if known := tools.prepared_requests.get_fields(call.config, asked):
        return evolve(call, raw_body=b"", **known)
    for stage in PREPARE:
        call = await stage(call, tools)
    # Only requests that the exact tier may answer are remembered: their answers are stored too.
    if call.reads_cache and call.has_exact_tier:
        tools.prepared_requests.remember_fields(
            call.config, asked, {name: getattr(call, name) for name in PREPARED_FIELDS}
        )
    return call


async def _finish_call(call: Call, tools: Toolbox) -> Call:
    for stage in FINISH:
        try:
            call = await stage(call, tools)
        except Exception:
            log.exception(
                "request %s could not %s", call.request_id, get_stage_label(stage.__name__)
            )
    return call
