"""What happens to a request, in order. This page is the table of contents of the gateway."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from proxy.core.again import again
from proxy.core.errors import ClientGone, GatewayError, InternalFault, ToolUnavailable
from proxy.core.exchange import Call, Live, Refused, Stored, Timed, revise
from proxy.core.judge_model import SECONDS as JUDGE_SECONDS
from proxy.core.judge_model import to_judge, weighed
from proxy.core.ports import Toolbox
from proxy.core.sse import event
from proxy.core.staleness import asked_again
from proxy.core.watched import WatchedClient
from proxy.pipeline.admit import admit
from proxy.pipeline.authenticate import authenticate
from proxy.pipeline.budget import budget
from proxy.pipeline.build_upstream import build_upstream
from proxy.pipeline.call_upstream import call_upstream
from proxy.pipeline.check_storable import check_storable
from proxy.pipeline.compare import compare
from proxy.pipeline.compress import compress
from proxy.pipeline.count import count
from proxy.pipeline.doubt import doubt
from proxy.pipeline.embed import embed
from proxy.pipeline.exact_lookup import exact_lookup
from proxy.pipeline.exact_lookup_sent import exact_lookup_sent
from proxy.pipeline.explore import explore
from proxy.pipeline.forget import forget
from proxy.pipeline.hear import hear
from proxy.pipeline.hold import hold
from proxy.pipeline.join import join
from proxy.pipeline.land import land
from proxy.pipeline.lease import lease
from proxy.pipeline.load_plan import load_plan
from proxy.pipeline.note import note
from proxy.pipeline.parse import parse
from proxy.pipeline.part import part
from proxy.pipeline.pick import pick
from proxy.pipeline.read import read
from proxy.pipeline.record import event_of, record
from proxy.pipeline.relay import relay
from proxy.pipeline.respond import respond
from proxy.pipeline.retire import retire
from proxy.pipeline.scope import scope
from proxy.pipeline.semantic_lookup import semantic_lookup
from proxy.pipeline.shadow import leave_whole, withhold
from proxy.pipeline.share import share
from proxy.pipeline.stand_in import stand_in
from proxy.pipeline.store import store
from proxy.pipeline.tally import tally
from proxy.pipeline.understand import understand
from proxy.pipeline.verify import verify

Stage = Callable[[Call, Toolbox], Awaitable[Call]]

OPEN: tuple[Stage, ...] = (authenticate, admit, read)  # may refuse, by raising
PREPARE: tuple[Stage, ...] = (parse, load_plan, scope)  # may refuse too; done once for the same bytes (`proxy.core.prepared`)
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
# Under an error budget, in the background, for a share of the would-be hits: what would the provider have said?
ASK: tuple[Stage, ...] = (compress, build_upstream, call_upstream)  # unless it was asked anyway
COMPARE: tuple[Stage, ...] = (hear, count, compare)
JUDGE: tuple[Stage, ...] = (build_upstream, call_upstream, hear, count, understand)  # a call of its own, where the plan names a model
KEEP: tuple[Stage, ...] = (check_storable, store, retire)
SAMPLE_SECONDS = 60.0

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
        call = _given_up(revise(stopped.call if isinstance(stopped, _Stopped) else call, outcome="client_closed"))
        raise
    except Exception:
        log.exception("request %s failed while it was answered", call.request_id)
        call = await _last_resort(_given_up(revise(call, outcome="failed")), door, tools)
    finally:
        try:
            call = await _settle(call, tools)
        finally:
            tools.in_flight.leave(call.request_id)
        if call.probe is not None:
            tools.background.start(_sample(call, tools))
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


async def _sample(finished: Call, tools: Toolbox) -> None:
    """Compare the stored answer of a finished call with the provider's. It is a call of its own."""
    call = again(finished)
    stages = COMPARE if call.completion is not None else (*ASK, *COMPARE)
    call = await _apart(call, (*stages, _judge, tally), tools, seconds=SAMPLE_SECONDS)
    for stage in KEEP:
        await open_stage(stage, call, tools)


async def _judge(call: Call, tools: Toolbox) -> Call:
    """The verdict with the judge's word in it, where the plan names one. To ask it is another call, which ends before this one must."""
    asked = to_judge(call)
    if asked is None:
        return call
    left = call.started + SAMPLE_SECONDS - 1 - time.monotonic()
    asked = await _apart(asked, () if asked.answer else JUDGE, tools, seconds=min(JUDGE_SECONDS, left))
    return revise(call, verdict=weighed(call.verdict, asked.verdict))


async def _apart(call: Call, stages: Sequence[Stage], tools: Toolbox, *, seconds: float) -> Call:
    """Run a call that nobody waits for: recorded once, whatever happens."""
    try:
        async with asyncio.timeout(seconds):
            for stage in stages:
                call = await open_stage(stage, call, tools)
    except TimeoutError:
        call = _given_up(revise(call, outcome="upstream_error", status=504))
    except asyncio.CancelledError:
        call = _given_up(revise(call, outcome="cut"))
        raise
    except Exception:
        log.exception("%s %s of %s failed", call.reason or "sample", call.request_id, call.sample_of)
        call = revise(call, outcome="failed", status=500)
    finally:
        await record(call, tools)
    return call


def _given_up(call: Call) -> Call:
    """The call as it stands when it is ended: where the provider was asked and did not come to its end, nobody knows what it bills."""
    return revise(call, given_up=True) if call.attempts and isinstance(call.answer, Live | None) else call


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
        return revise(_given_up(call), answer=Refused(InternalFault("The gateway failed; the fault is logged.")), outcome="failed")
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


async def open_stage(stage: Stage, call: Call, tools: Toolbox) -> Call:
    """Run one stage; a tool that cannot help is noted and done without."""
    try:
        return await stage(call, tools)
    except ToolUnavailable as error:
        log.log(error.log_level, "request %s goes on without %s: %s", call.request_id, error.tool, error.reason)
        return call.failed_open(error.tool)


async def _settle(call: Call, tools: Toolbox) -> Call:
    for stage in SETTLE:
        try:
            call = await stage(call, tools)
        except Exception:
            log.exception("request %s could not %s", call.request_id, stage.__name__)
    return call
