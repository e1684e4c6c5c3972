"""What is asked."""

import time
from dataclasses import replace

from proxy.core.chat import parse as parse_chat
from proxy.core.controls import with_header
from proxy.core.exchange import Call, revise
from proxy.core.ports import Toolbox


async def parse(call: Call, tools: Toolbox) -> Call:
    """Read and check the body. Raises BadRequest, TooDeep, TooLarge or ClientGone."""
    raw = await call.client.body(tools.limits.body_bytes)
    ready = time.monotonic()
    request = parse_chat(raw, depth=tools.limits.depth)
    if call.cache_control:
        request = replace(request, controls=with_header(request.controls, call.cache_control))
    return revise(call, request=request, ready=ready, budget_ends=ready + tools.limits.cache_budget)
