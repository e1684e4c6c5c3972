"""Decide whether the answer of a call may be stored, and if not, why.

Decided before the headers of a complete answer are sent, and at the end of a stream.
"""

from proxy.core.answers import CachedAnswer, CompleteAnswer
from proxy.core.caching.eligibility import answer_ineligibility
from proxy.core.caching.envelope import MAX_ENVELOPE_BYTES
from proxy.pipeline.call import Call, evolve
from stats.events import NotStoredReason

# Answers up to this many bytes are checked on the event loop; longer ones after they were sent, in
# a thread.
MAX_INLINE_CHECK_BYTES = 64 * 1024


def check_admission(call: Call) -> Call:
    """Set `may_be_stored` or `not_stored_reason`.

    Unchanged if either is set already, or no answer was to be stored.
    """
    if call.may_be_stored or call.not_stored_reason or not has_storable_answer(call):
        return call
    reason = _find_refusal(call)
    return evolve(call, may_be_stored=not reason, not_stored_reason=reason)


def has_storable_answer(call: Call) -> bool:
    """Whether the provider was called and a cache tier would store its answer."""
    if isinstance(call.answer, CachedAnswer):
        return False
    taken = call.has_exact_tier or (
        call.vector is not None
        and call.cache_keys is not None
        and call.cache_keys.bucket is not None
    )
    return (
        call.writes_cache
        and call.cache_keys is not None
        and call.attempts > 0
        and taken
        and call.outcome not in ("refused", "failed")
    )


def count_answer_bytes(call: Call) -> int:
    """Return the bytes of the provider's answer: its body, or the JSON of a stream's chunks."""
    return len(call.answer.body) if isinstance(call.answer, CompleteAnswer) else call.streamed_bytes


def _find_refusal(call: Call) -> NotStoredReason:
    if call.outcome in ("cut", "client_closed"):
        return "stream-cut"
    if call.outcome != "ok" or call.status != 200:
        return "status"
    if isinstance(call.answer, CompleteAnswer) and len(call.answer.body) > MAX_ENVELOPE_BYTES:
        return "too-large"
    if call.completion is None and (call.partial_completion or {}).get("choices"):
        return "not-understood"
    assert call.plan is not None and call.plan.cache is not None  # noqa: S101, PT018 -- there are no keys without
    return answer_ineligibility(call.chat_request, call.completion, call.plan.cache.tool_calls)
