"""Was the stored answer right? Compared with what the provider says to the same question."""

import asyncio

import orjson

from proxy.core.eligibility import admissible
from proxy.core.exchange import Call, revise, tenant_of
from proxy.core.ports import Toolbox
from proxy.core.same_answer import EMBEDDED, answer_text, judged


async def compare(call: Call, tools: Toolbox) -> Call:
    """Set the verdict of the rules. None where the provider gave no whole answer. Raises ToolUnavailable."""
    probe = call.probe
    if probe is None or call.outcome != "ok" or not admissible(call.completion):
        return call
    stored, fresh = answer_text(orjson.loads(probe.envelope.completion)), answer_text(call.completion)
    if not stored or not fresh:
        return call
    one = await tools.embedder.embed(stored[:EMBEDDED], tenant=tenant_of(call))
    other = await tools.embedder.embed(fresh[:EMBEDDED], tenant=tenant_of(call))
    verdict = await asyncio.to_thread(judged, stored, fresh, float(one @ other))
    return revise(call, verdict=verdict)
