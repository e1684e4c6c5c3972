"""What is asked."""

from dataclasses import replace

from proxy.core.chat import parse as parse_chat
from proxy.core.controls import with_header
from proxy.core.exchange import Call, revise
from proxy.core.offload import off_loop
from proxy.core.ports import Toolbox


async def parse(call: Call, tools: Toolbox) -> Call:
    """Check the body. Raises BadRequest, TooDeep or TooMany."""
    request = await off_loop(len(call.raw), parse_chat, call.raw, tools.limits.body)
    if call.cache_control:
        request = replace(request, controls=with_header(request.controls, call.cache_control))
    return revise(call, request=request, raw=b"")
