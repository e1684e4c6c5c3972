"""What a provider billed when it did not say: our own count, flagged."""

import asyncio

from proxy.core.exchange import Call, Live, Stored, revise
from proxy.core.ports import Toolbox
from proxy.core.usage import estimated_usage


async def count(call: Call, tools: Toolbox) -> Call:
    """Set an estimated usage where the provider answered (in whole or in part) and reported none, or the client left while it was asked:
    it has read the prompt by then."""
    heard = call.attempts or (call.collapsed and isinstance(call.answer, Live))
    if (
        not (call.status == 200 or _left_early(call))
        or not heard
        or call.usage.prompt
        or call.usage.completion
        or call.outcome == "upstream_error"
    ):
        return call
    if isinstance(call.answer, Stored):  # in place of a provider that failed
        return call
    usage = await asyncio.to_thread(estimated_usage, call.messages, call.completion, model=call.target.model)
    return revise(call, usage=usage)


def _left_early(call: Call) -> bool:
    return call.attempts > 0 and call.outcome == "client_closed" and call.answer is None
