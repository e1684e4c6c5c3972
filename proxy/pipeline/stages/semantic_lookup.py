"""Find the stored questions that mean nearly the same."""

import logging
from dataclasses import replace

from proxy.core.ports import Candidate
from proxy.pipeline.cache_access import cache_seconds_left, decode_candidate
from proxy.pipeline.call import Call, CandidateVerdict, evolve
from proxy.pipeline.toolbox import Toolbox

# Of a chat with history, of which several may be near and only one say the same.
MIN_CHAT_CANDIDATES = 8

log = logging.getLogger("tokenthrift.proxy")


async def semantic_lookup(call: Call, tools: Toolbox) -> Call:
    """Set the candidates: neighbours within the bucket, best first. Raises ToolUnavailable."""
    if (
        not call.reads_cache
        or call.vector is None
        or call.cache_keys is None
        or call.cache_keys.bucket is None
    ):
        return call
    assert (  # noqa: S101, PT018 -- embed saw to it
        call.plan is not None
        and call.plan.cache is not None
        and call.plan.cache.backend is not None
    )
    backend = tools.select_index(call.plan.cache).caches[call.plan.cache.backend]
    limit = tools.limits.max_candidates
    if call.window is not None and call.window.has_history:
        limit = max(limit, MIN_CHAT_CANDIDATES)
    search = backend.find_nearest(
        call.cache_keys.bucket,
        call.vector,
        floor=tools.limits.min_similarity,
        limit=limit,
    )
    found = await tools.breakers[backend.name].run(search, seconds=cache_seconds_left(call))
    # The bucket includes the scope; should a backend return another scope's entries all the same,
    # they are dropped here.
    ours = tuple(candidate for candidate in found if candidate.scope == call.cache_keys.scope)
    if len(ours) < len(found):
        log.error(
            "%s returned %d entries of another scope, which are not served",
            backend.name,
            len(found) - len(ours),
        )
    for candidate in ours:
        call = await _add_candidate(call, tools, candidate)
    return call


async def _add_candidate(call: Call, tools: Toolbox, candidate: Candidate) -> Call:
    """Add a candidate; with encrypted texts, its question is read from the envelope.

    An envelope that cannot be opened becomes a rejected candidate with the reason `foreign`.
    """
    if not candidate.question:
        envelope = await decode_candidate(call, tools, candidate)
        if envelope is None or not envelope.question:
            broken = CandidateVerdict(
                entry_id=candidate.entry_id,
                question="",
                similarity=candidate.similarity,
                reason="foreign",
            )
            return evolve(
                call,
                candidate_verdicts=(*call.candidate_verdicts, broken),
                vetoes=(*call.vetoes, broken.reason),
            )
        candidate = replace(candidate, question=envelope.question, decoded_envelope=envelope)
    return evolve(call, candidates=(*call.candidates, candidate))
