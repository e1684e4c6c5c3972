"""Read the body and parse it."""

import time
from dataclasses import replace

from proxy.core.event_loop import off_loop
from proxy.core.formats.cache_controls import with_header
from proxy.core.formats.chat_completions import parse as parse_chat
from proxy.pipeline.call import Call, revise
from proxy.pipeline.toolbox import Toolbox

# The request's bytes.


async def read(call: Call, tools: Toolbox) -> Call:
    """Take the body in; the clock of the cache budget starts. Raises TooLarge or ClientGone."""
    raw = await call.client.body(tools.limits.body_bytes)
    ready = time.monotonic()
    return revise(call, raw=raw, ready=ready, budget_ends=ready + tools.limits.cache_budget)


# What is asked.


async def parse(call: Call, tools: Toolbox) -> Call:
    """Check the body. Raises BadRequest, TooDeep or TooMany."""
    request = await off_loop(len(call.raw), parse_chat, call.raw, tools.limits.body)
    if call.cache_control:
        request = replace(request, controls=with_header(request.controls, call.cache_control))
    return revise(call, request=request, raw=b"")
