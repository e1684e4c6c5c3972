"""Comparing and judging stored answers in the background, after the reply."""

import asyncio
import logging
import time
from collections.abc import Sequence

from proxy.pipeline.background_calls import again
from proxy.pipeline.call import Call, Live, revise
from proxy.pipeline.llm_judge import SECONDS as JUDGE_SECONDS
from proxy.pipeline.llm_judge import to_judge, weighed
from proxy.pipeline.stage import Stage, open_stage
from proxy.pipeline.stages.call_upstream import build_upstream, call_upstream
from proxy.pipeline.stages.check_answer import compare, hear, retire, tally, understand
from proxy.pipeline.stages.compress import compress
from proxy.pipeline.stages.estimate_usage import count
from proxy.pipeline.stages.record import record
from proxy.pipeline.stages.store import check_storable, store
from proxy.pipeline.toolbox import Toolbox

log = logging.getLogger("tokenthrift.proxy")

# Under an error budget, in the background, for a share of the would-be hits: what would the provider have said?
ASK: tuple[Stage, ...] = (compress, build_upstream, call_upstream)  # unless it was asked anyway
COMPARE: tuple[Stage, ...] = (hear, count, compare)
JUDGE: tuple[Stage, ...] = (build_upstream, call_upstream, hear, count, understand)  # a call of its own, where the plan names a model
KEEP: tuple[Stage, ...] = (check_storable, store, retire)
SAMPLE_SECONDS = 60.0


async def sample_answer(finished: Call, tools: Toolbox) -> None:
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
        call = given_up(revise(call, outcome="upstream_error", status=504))
    except asyncio.CancelledError:
        call = given_up(revise(call, outcome="cut"))
        raise
    except Exception:
        log.exception("%s %s of %s failed", call.reason or "sample", call.request_id, call.sample_of)
        call = revise(call, outcome="failed", status=500)
    finally:
        await record(call, tools)
    return call


def given_up(call: Call) -> Call:
    """The call as it stands when it is ended: where the provider was asked and did not come to its end, nobody knows what it bills."""
    return revise(call, given_up=True) if call.attempts and isinstance(call.answer, Live | None) else call
