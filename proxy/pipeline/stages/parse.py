"""Read the body and parse it."""

import time
from dataclasses import replace

from proxy.core.event_loop import run_off_loop
from proxy.core.formats.cache_controls import merge_cache_control
from proxy.core.formats.chat_completions import parse_chat_request as parse_chat
from proxy.pipeline.call import Call, evolve
from proxy.pipeline.toolbox import Toolbox

# The request's bytes.


async def read_body(call: Call, tools: Toolbox) -> Call:
    """Read the body and start the clock of the cache work.

    Raises BodyTooLarge or ClientDisconnected.
    """
    raw = await call.client.read_body(tools.limits.max_body_bytes)
    ready = time.monotonic()
    return evolve(
        call, raw_body=raw, body_read_at=ready, cache_deadline=ready + tools.limits.cache_seconds
    )


# The parsed request.


async def parse(call: Call, tools: Toolbox) -> Call:
    """Parse and check the body. Raises BadRequest, BodyTooDeep or TooManyParts."""
    request = await run_off_loop(
        len(call.raw_body), parse_chat, call.raw_body, tools.limits.body_limits
    )
    if call.cache_control:
        request = replace(
            request, cache_controls=merge_cache_control(request.cache_controls, call.cache_control)
        )
    return evolve(call, request=request, raw_body=b"")
