"""Durations of those stages of a finished call that had something to do."""

from collections.abc import Callable

from proxy.pipeline.call import Call, StageTime

# Most calls pass a stage unchanged; whether it worked on this one shows in the call's fields.
HAD_WORK: dict[str, Callable[[Call], bool]] = {
    "exact_lookup": lambda call: (
        call.reads_cache and call.cache_keys is not None and call.has_exact_tier
    ),
    "embed": lambda call: call.vector is not None or "embedder" in call.failures,
    "semantic_lookup": lambda call: call.reads_cache and call.vector is not None,
    "verify": lambda call: bool(call.candidates),
    "compress": lambda call: call.compression is not None or "compressor" in call.failures,
    "exact_lookup_sent": lambda call: (
        call.cache_keys is not None and call.cache_keys.compressed is not None
    ),
    "lease": lambda call: call.flight is not None and call.is_leader,
    "join": lambda call: call.coalesced,
    "call_upstream": lambda call: call.attempts > 0,
}


def list_stage_times(call: Call) -> list[StageTime]:
    """List label, begin and end of the stages that had work, in order."""
    return [
        timed for timed in call.stage_times if timed[0] in HAD_WORK and HAD_WORK[timed[0]](call)
    ]
