"""What happens to a request, in order. This page is the table of contents of the gateway."""

import asyncio
import logging
import time

from proxy.core.answers import Refused, Stored
from proxy.core.errors import ClientGone, GatewayError, InternalFault
from proxy.core.formats.sse import event
from proxy.pipeline.background_calls import asked_again
from proxy.pipeline.call import Call, Timed, revise
from proxy.pipeline.clients import WatchedClient
from proxy.pipeline.ledger_records import event_of
from proxy.pipeline.sampling import given_up, sample_answer
from proxy.pipeline.stage import Stage, open_stage
from proxy.pipeline.stages.authenticate import authenticate
from proxy.pipeline.stages.cache_scope import scope
from proxy.pipeline.stages.call_upstream import build_upstream, call_upstream
from proxy.pipeline.stages.coalesce import join, land, lease, part, share
from proxy.pipeline.stages.compress import compress
from proxy.pipeline.stages.embed import embed
from proxy.pipeline.stages.estimate_usage import count
from proxy.pipeline.stages.exact_lookup import exact_lookup, exact_lookup_sent
from proxy.pipeline.stages.holdout import hold
from proxy.pipeline.stages.limit import admit
from proxy.pipeline.stages.load_plan import load_plan
from proxy.pipeline.stages.parse import parse, read
from proxy.pipeline.stages.record import record
from proxy.pipeline.stages.remember_conversation import note
from proxy.pipeline.stages.respond import respond
from proxy.pipeline.stages.sample import explore, pick
from proxy.pipeline.stages.semantic_lookup import semantic_lookup
from proxy.pipeline.stages.serve_stale import stand_in
from proxy.pipeline.stages.shadow import leave_whole, withhold
from proxy.pipeline.stages.store import check_storable, forget, store
from proxy.pipeline.stages.stream import relay
from proxy.pipeline.stages.threshold import budget, doubt
from proxy.pipeline.stages.verify import verify
from proxy.pipeline.toolbox import Toolbox

OPEN: tuple[Stage, ...] = (authenticate, admit, read)  # may refuse, by raising
# may refuse too; done once for the same bytes (`proxy.core.caching.prepared_requests`)
PREPARE: tuple[Stage, ...] = (parse, load_plan, scope)
PREPARED = ("request", "route", "plan", "tier", "reason", "reads", "writes", "keys")  # what PREPARE sets
DECIDE: tuple[Stage, ...] = (  # reads and reckons only, so that it can be explained
    exact_lookup,
    embed,
    doubt,
    semantic_lookup,
    budget,
    verify,
    explore,
    compress,
    exact_lookup_sent,
)
# Stops at the first answer.
SEEK: tuple[Stage, ...] = (hold, DECIDE[0], join, *DECIDE[1:], leave_whole, lease, build_upstream, call_upstream)
REPLY: tuple[Stage, ...] = (stand_in, share, respond, relay)  # the client has its answer after this
REFRESH: tuple[Stage, ...] = (embed, compress, build_upstream, call_upstream, respond, relay)  # if that was an expired one; for nobody
SETTLE: tuple[Stage, ...] = (count, check_storable, land, record, forget, store, note, part, pick)  # once, whatever happened
log = logging.getLogger("tokenthrift.proxy")


class _Stopped(asyncio.CancelledError):
    """Cancelled while an answer was sought: the call as far as it had come."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self.call = call


async def run(call: Call, tools: Toolbox) -> Call:
    """Take one request from its first byte to its record. Raises nothing but CancelledError, and that after the record."""
    door = WatchedClient(call.client)
    call = revise(call, client=door)
    try:
        call = await _seek(call, tools)
        for stage in REPLY:
            call = await stage(call, tools)
        if call.refresh and isinstance(call.answer, Stored):
            call = asked_again(call, event_of(call), budget=tools.limits.cache_budget)
            for stage in REFRESH:
                call = await open_stage(stage, call, tools)
    except ClientGone:
        call = revise(call, outcome="client_closed")
    except asyncio.CancelledError as stopped:
        call = given_up(revise(stopped.call if isinstance(stopped, _Stopped) else call, outcome="client_closed"))
        raise
    except Exception:
        log.exception("request %s failed while it was answered", call.request_id)
        call = await _last_resort(given_up(revise(call, outcome="failed")), door, tools)
    finally:
        try:
            call = await _settle(call, tools)
        finally:
            tools.in_flight.leave(call.request_id)
        if call.probe is not None:
            tools.background.start(sample_answer(call, tools))
    return call


async def _last_resort(call: Call, door: WatchedClient, tools: Toolbox) -> Call:
    """Tell the client of a fault of ours: by an error object while no status is out, else by the last event of a stream."""
    fault = Refused(InternalFault("The gateway failed; the fault is logged."))
    try:
        if door.status == 0:
            return await respond(revise(call, answer=fault, completion=None, partial_completion=None), tools)
        if door.streams and not door.finished:
            await call.client.send(b"\n\n" + event(fault.error.body()), more=False)
    except ClientGone:
        return revise(call, outcome="client_closed")
    except Exception:
        log.exception("request %s: the client could not be told", call.request_id)
    return revise(call, status=door.status or fault.error.status, fault=fault)


async def _seek(call: Call, tools: Toolbox) -> Call:
    """The call with its answer; a refusal or a bug is an answer too."""
    times: list[Timed] = []
    try:
        for stage in OPEN:
            call = await stage(call, tools)
        call = await _prepare(call, tools)
        begun = time.monotonic()
        for stage in SEEK:
            if call.answer is not None or call.outcome != "ok":
                break
            call = withhold(await open_stage(stage, call, tools))
            times.append((stage.__name__, begun, begun := time.monotonic()))
    except GatewayError as error:
        return revise(call, answer=Refused(error), outcome="refused", times=tuple(times))
    except ClientGone:
        raise
    except asyncio.CancelledError as error:  # the server stops: what was asked of the provider is in the books all the same
        raise _Stopped(revise(call, times=tuple(times))) from error
    except Exception:
        log.exception("request %s failed", call.request_id)
        return revise(given_up(call), answer=Refused(InternalFault("The gateway failed; the fault is logged.")), outcome="failed")
    return revise(call, times=tuple(times))


async def _prepare(call: Call, tools: Toolbox) -> Call:
    """Parse, load the plan, derive the keys. Only a request that the exact tier may answer is remembered: its answer is kept too."""
    assert call.key is not None  # noqa: S101 -- authenticate set it
    asked = (call.key.id, call.cache_control, call.raw)
    if known := tools.prepared.of(call.directory, asked):
        return revise(call, raw=b"", **known)
    for stage in PREPARE:
        call = await stage(call, tools)
    if call.reads and call.exact_tier:
        tools.prepared.keep(call.directory, asked, {name: getattr(call, name) for name in PREPARED})
    return call


async def _settle(call: Call, tools: Toolbox) -> Call:
    for stage in SETTLE:
        try:
            call = await stage(call, tools)
        except Exception:
            log.exception("request %s could not %s", call.request_id, stage.__name__)
    return call
