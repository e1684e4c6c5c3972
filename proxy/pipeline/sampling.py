"""Compare stored answers with the provider's and judge them, in the background after the reply."""

import asyncio
import logging
import time
from collections.abc import Sequence

from proxy.pipeline.background_calls import sampling_call
from proxy.pipeline.call import Call, StreamingAnswer, evolve
from proxy.pipeline.llm_judge import JUDGE_TIMEOUT_SECONDS as JUDGE_SECONDS
from proxy.pipeline.llm_judge import combine_verdicts, judge_call
from proxy.pipeline.stage import Stage, run_stage
from proxy.pipeline.stages.call_upstream import build_request, call_upstream
from proxy.pipeline.stages.check_answer import (
    compare_answers,
    count_sample,
    evict_wrong_answer,
    read_answer,
    read_verdict,
)
from proxy.pipeline.stages.compress import compress
from proxy.pipeline.stages.estimate_usage import estimate_usage
from proxy.pipeline.stages.record import record
from proxy.pipeline.stages.store import check_storable, store
from proxy.pipeline.toolbox import Toolbox

log = logging.getLogger("tokenthrift.proxy")

# Under an error budget, in the background, for a share of the would-be hits: what would the
# provider have answered?
ASK: tuple[Stage, ...] = (compress, build_request, call_upstream)  # unless it was called anyway
COMPARE: tuple[Stage, ...] = (read_answer, estimate_usage, compare_answers)
JUDGE: tuple[Stage, ...] = (
    build_request,
    call_upstream,
    read_answer,
    estimate_usage,
    read_verdict,
)  # a call of its own, where the plan names a model
APPLY: tuple[Stage, ...] = (check_storable, store, evict_wrong_answer)
SAMPLE_SECONDS = 60.0


async def check_sample(finished: Call, tools: Toolbox) -> None:
    """Compare the stored answer of a finished call with the provider's, in a call of its own."""
    call = sampling_call(finished)
    stages = COMPARE if call.completion is not None else (*ASK, *COMPARE)
    call = await _run_background_call(
        call, (*stages, _ask_judge, count_sample), tools, seconds=SAMPLE_SECONDS
    )
    for stage in APPLY:
        await run_stage(stage, call, tools)


async def _ask_judge(call: Call, tools: Toolbox) -> Call:
    """Set the verdict that includes the judge's, if the plan names one."""
    asked = judge_call(call)
    if asked is None:
        return call
    # The judge's call must end before this one does.
    left = call.started_at + SAMPLE_SECONDS - 1 - time.monotonic()
    asked = await _run_background_call(
        asked, () if asked.answer else JUDGE, tools, seconds=min(JUDGE_SECONDS, left)
    )
    return evolve(call, verdict=combine_verdicts(call.verdict, asked.verdict))


async def _run_background_call(
    call: Call, stages: Sequence[Stage], tools: Toolbox, *, seconds: float
) -> Call:
    """Run a call without a client and record it once, whatever happens."""
    try:
        async with asyncio.timeout(seconds):
            for stage in stages:
                call = await run_stage(stage, call, tools)
    except TimeoutError:
        call = mark_abandoned(evolve(call, outcome="upstream_error", status=504))
    except asyncio.CancelledError:
        call = mark_abandoned(evolve(call, outcome="cut"))
        raise
    except Exception:
        log.exception(
            "%s %s of %s failed", call.reason or "sample", call.request_id, call.sample_of
        )
        call = evolve(call, outcome="failed", status=500)
    finally:
        await record(call, tools)
    return call


def mark_abandoned(call: Call) -> Call:
    """Mark the call as abandoned if the provider was called and not read to the end."""
    return (
        evolve(call, abandoned=True)
        if call.attempts and isinstance(call.answer, StreamingAnswer | None)
        else call
    )
