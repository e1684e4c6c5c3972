"""What a provider billed when it did not say: our own count, flagged, with the discount that it gave other prompts lately."""

import asyncio
from dataclasses import replace

from proxy.core.exchange import Call, Live, Stored, revise, tenant_of
from proxy.core.ports import Toolbox
from proxy.core.usage import estimated_usage


async def count(call: Call, tools: Toolbox) -> Call:
    """Set an estimated usage where the provider answered (in whole or in part) and reported none, or the client left while it was asked:
    it has read the prompt by then."""
    if call.usage.prompt and call.attempts and not call.usage.estimated:
        tools.discounts.tell(tenant_of(call), call.target.id, cut=_is_cut(call), prompt=call.usage.prompt, cached=call.usage.cached)
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
    cached = tools.discounts.expected(tenant_of(call), call.target.id, cut=_is_cut(call), prompt=usage.prompt)
    return revise(call, usage=replace(usage, cached=cached))


def _is_cut(call: Call) -> bool:
    return call.cut is not None and call.cut.messages is not None


def _left_early(call: Call) -> bool:
    return call.attempts > 0 and call.outcome == "client_closed" and call.answer is None
