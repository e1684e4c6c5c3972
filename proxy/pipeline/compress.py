"""Fewer tokens for the same question, off the event loop. Only reached when no stored answer served."""

import time
from dataclasses import replace

from proxy.core.exchange import Call, revise
from proxy.core.ports import Toolbox
from proxy.core.reading import sent_key
from proxy.core.tokens import encoding_for


async def compress(call: Call, tools: Toolbox) -> Call:
    """Set what was cut. Raises ToolUnavailable: then the request goes out whole."""
    if call.plan is None or call.plan.mode == "off" or call.plan.compression is None:
        return call
    begun = time.monotonic()
    cut = await tools.compressor.compress(call.asked.messages, call.plan.compression, model=call.target.model)
    # Compression is no cache work: it must not use up the time of the look-up that follows it.
    if cut.messages is not None and not encoding_for(call.target.model)[1]:
        cut = replace(cut, note=", ".join(filter(None, [cut.note, f"unknown-model-counted-by-{cut.encoding}"])))
    call = revise(call, cut=cut, budget_ends=call.budget_ends + time.monotonic() - begun)
    return revise(call, keys=replace(call.keys, sent=sent_key(call))) if call.keys else call
