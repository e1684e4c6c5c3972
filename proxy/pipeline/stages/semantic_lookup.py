"""Which stored questions mean nearly the same?"""

import logging
from dataclasses import replace

from proxy.core.ports import Candidate
from proxy.pipeline.cache_access import open_candidate, time_left
from proxy.pipeline.call import Call, Judged, revise
from proxy.pipeline.toolbox import Toolbox

log = logging.getLogger("tokenthrift.proxy")


async def semantic_lookup(call: Call, tools: Toolbox) -> Call:
    """Set the candidates: neighbours within the bucket, best first. Raises ToolUnavailable.

    The bucket holds the scope already; what a backend returns all the same from another one goes no further."""
    if not call.reads or call.vector is None or call.keys is None or call.keys.bucket is None:
        return call
    assert call.plan is not None and call.plan.cache is not None and call.plan.cache.backend is not None  # noqa: S101, PT018 -- embed saw to it
    backend = tools.semantic[call.plan.cache.backend]
    search = backend.nearest(call.keys.bucket, call.vector, floor=tools.limits.floor, limit=tools.limits.candidates)
    found = await tools.breakers[backend.name].run(search, seconds=time_left(call))
    ours = tuple(candidate for candidate in found if candidate.scope == call.keys.scope)
    if len(ours) < len(found):
        log.error("%s returned %d entries of another scope, which are not served", backend.name, len(found) - len(ours))
    for candidate in ours:
        call = await _with_question(call, tools, candidate)
    return call


async def _with_question(call: Call, tools: Toolbox, candidate: Candidate) -> Call:
    """The call with this candidate, whose question is within the envelope where texts are encrypted. One that cannot be opened is
    noted as what it is."""
    if not candidate.question:
        envelope = await open_candidate(call, tools, candidate)
        if envelope is None or not envelope.question:
            broken = Judged(entry_id=candidate.entry_id, question="", similarity=candidate.similarity, reason="foreign")
            return revise(call, judged=(*call.judged, broken), vetoes=(*call.vetoes, broken.reason))
        candidate = replace(candidate, question=envelope.question, opened=envelope)
    return revise(call, candidates=(*call.candidates, candidate))
