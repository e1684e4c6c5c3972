"""Whether the answer of a call may be stored, and why not: known before the head of a whole answer is sent, at its end for a stream."""

from proxy.core.answers import Stored, Whole
from proxy.core.caching.eligibility import answer_refusal
from proxy.core.caching.envelope import MAX_ENVELOPE_BYTES
from proxy.pipeline.call import Call, revise
from stats.events import NotKept

# Bytes of an answer up to which it is judged at once, on the event loop; a longer one after it was sent, in a thread.
QUICK_BYTES = 64 * 1024


def admission(call: Call) -> Call:
    """The call with `admitted` or `not_kept` set; as it is where nothing was to be stored, or it is known already."""
    if call.admitted or call.not_kept or not is_storable(call):
        return call
    reason = _reason(call)
    return revise(call, admitted=not reason, not_kept=reason)


def is_storable(call: Call) -> bool:
    """Whether a tier would take an answer to this request, and the provider was asked for one."""
    if isinstance(call.answer, Stored):
        return False
    taken = call.exact_tier or (call.vector is not None and call.keys is not None and call.keys.bucket is not None)
    return call.writes and call.keys is not None and call.attempts > 0 and taken and call.outcome not in ("refused", "failed")


def answer_bytes(call: Call) -> int:
    """How long the provider's answer is: its body, or the JSON of a stream's chunks."""
    return len(call.answer.body) if isinstance(call.answer, Whole) else call.streamed_bytes


def _reason(call: Call) -> NotKept:
    if call.outcome in ("cut", "client_closed"):
        return "stream-cut"
    if call.outcome != "ok" or call.status != 200:
        return "status"
    if isinstance(call.answer, Whole) and len(call.answer.body) > MAX_ENVELOPE_BYTES:
        return "too-large"
    if call.completion is None and (call.partial_completion or {}).get("choices"):
        return "not-understood"
    assert call.plan is not None and call.plan.cache is not None  # noqa: S101, PT018 -- there are no keys without
    return answer_refusal(call.asked, call.completion, call.plan.cache.tool_calls)
