"""What a stage is, and how it is run without a tool that is unavailable."""

import logging
from collections.abc import Awaitable, Callable

from proxy.core.errors import ToolUnavailable
from proxy.pipeline.call import Call
from proxy.pipeline.toolbox import Toolbox

log = logging.getLogger("tokenthrift.proxy")

Stage = Callable[[Call, Toolbox], Awaitable[Call]]


async def run_stage(stage: Stage, call: Call, tools: Toolbox) -> Call:
    """Run one stage; if a tool is unavailable, log it and go on without it."""
    try:
        return await stage(call, tools)
    except ToolUnavailable as error:
        log.log(
            error.log_level,
            "request %s goes on without %s: %s",
            call.request_id,
            error.tool,
            error.reason,
        )
        return call.add_failure(error.tool)
