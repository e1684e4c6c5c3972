"""What the provider said to a sample, and what it bills for it."""

from proxy.core.exchange import Call, Refused, Whole, revise
from proxy.core.ports import Toolbox
from proxy.core.usage import reported_usage


async def hear(call: Call, tools: Toolbox) -> Call:
    """Set status and usage, as `respond` does where somebody waits for the answer."""
    if isinstance(call.answer, Refused):
        return revise(call, status=call.answer.error.status)
    if isinstance(call.answer, Whole):
        return revise(call, status=call.answer.status, usage=reported_usage((call.completion or {}).get("usage")) or call.usage)
    return call
