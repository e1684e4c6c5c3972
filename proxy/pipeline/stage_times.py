"""How long the stages of a finished call took, of those that had something to do."""

from collections.abc import Callable

from proxy.pipeline.call import Call, Timed

# A stage hands most calls on as they came: whether it worked on this one shows in what the call holds.
WORKED: dict[str, Callable[[Call], bool]] = {
    "exact_lookup": lambda call: call.reads and call.keys is not None and call.exact_tier,
    "embed": lambda call: call.vector is not None or "embedder" in call.failures,
    "semantic_lookup": lambda call: call.reads and call.vector is not None,
    "verify": lambda call: bool(call.candidates),
    "compress": lambda call: call.cut is not None or "compressor" in call.failures,
    "exact_lookup_sent": lambda call: call.keys is not None and call.keys.sent is not None,
    "lease": lambda call: call.flight is not None and call.leads,
    "join": lambda call: call.collapsed,
    "call_upstream": lambda call: call.attempts > 0,
}


def times_of(call: Call) -> list[Timed]:
    """Name, begin and end of each, in order."""
    return [timed for timed in call.times if timed[0] in WORKED and WORKED[timed[0]](call)]
