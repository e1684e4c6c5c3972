"""What is asked."""

from dataclasses import replace

from proxy.core.chat import parse as parse_chat
from proxy.core.controls import with_header
from proxy.core.exchange import Call, revise
from proxy.core.ports import Toolbox


async def parse(call: Call, tools: Toolbox) -> Call:
    """Check the body. Raises BadRequest or TooDeep."""
    request = parse_chat(call.raw, depth=tools.limits.depth)
    if call.cache_control:
        request = replace(request, controls=with_header(request.controls, call.cache_control))
    return revise(call, request=request, raw=b"")
