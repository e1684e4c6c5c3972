"""What the provider said to a sample, and what it bills for it."""

from proxy.core.exchange import Call, Refused, Whole, revise
from proxy.core.ports import Toolbox
from proxy.core.usage import usage_of


async def hear(call: Call, tools: Toolbox) -> Call:
    """Set status and usage, as `respond` does where somebody waits for the answer."""
    if isinstance(call.answer, Refused):
        return revise(call, status=call.answer.error.status)
    if isinstance(call.answer, Whole):
        return revise(call, status=call.answer.status, usage=usage_of(call.answer.completion, call.target.upstream.provider) or call.usage)
    return call
