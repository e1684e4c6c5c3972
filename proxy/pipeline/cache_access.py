"""Which stored answers a call may be served: exact entries, invalidation, staleness."""

import time

from proxy.core.answers import CompleteAnswer, ErrorAnswer
from proxy.core.caching.cache_keys import exact_key
from proxy.core.caching.envelope import BadEnvelope, Envelope, decode_in_thread
from proxy.core.ports import Candidate
from proxy.pipeline.call import Answer, Call
from proxy.pipeline.toolbox import Toolbox

# Entries of the exact tier: their keys, and how to read one without trusting the store.


def cache_seconds_left(call: Call) -> float:
    """Return the seconds left for the cache work of this request; negative if there are none."""
    return call.cache_deadline - time.monotonic()


def reading_seconds_left(call: Call) -> float:
    """Return for how many seconds a reading of this request may wait for those of others."""
    return max(0.0, call.reading_deadline - time.monotonic())


async def read_exact(call: Call, tools: Toolbox, key: str) -> Envelope | None:
    """Read a valid, fresh entry of our scope from the exact tier; None if there is none.

    A broken or foreign entry is deleted. Raises ToolUnavailable.
    """
    envelope = await lookup_exact(call, tools, key)
    return envelope if envelope is not None and is_fresh(call, envelope) else None


async def lookup_exact(call: Call, tools: Toolbox, key: str) -> Envelope | None:
    """Read a valid entry of our scope from the exact tier, however old it is."""
    envelope = tools.local_cache.get(key) or await _fetch_exact(call, tools, key)
    return (
        envelope
        if envelope is not None and in_scope(call, envelope) and not is_invalidated(call, envelope)
        else None
    )


async def _fetch_exact(call: Call, tools: Toolbox, key: str) -> Envelope | None:
    """Read an entry from the store and put it into the local cache."""
    exact = tools.breakers["exact"]
    tools.local_cache.begin_read(key)
    try:
        found = await exact.run(tools.exact_cache.get(key), seconds=cache_seconds_left(call))
        if found is None:
            return None
        envelope = await decode_exact(call, tools, key, found)
        if envelope is not None:
            tools.local_cache.store_answer(key, envelope)
            return envelope
    finally:
        tools.local_cache.end_read(key)
    await exact.run(tools.exact_cache.delete(key), seconds=cache_seconds_left(call))
    return None


async def decode_exact(call: Call, tools: Toolbox, key: str, value: bytes) -> Envelope | None:
    """Decode the envelope stored under `key`; None if it was not sealed for this key and scope."""
    envelope = await _decode_envelope(tools, value, "exact")
    if envelope is None or not in_scope(call, envelope):
        return None
    if key not in (envelope.entry_id, envelope.sent) or envelope.bucket:
        tools.sealer.refusals.count_refusal("exact")
        return None
    return envelope


async def decode_candidate(call: Call, tools: Toolbox, candidate: Candidate) -> Envelope | None:
    """Decode a candidate's envelope; None if it is foreign.

    Foreign: not sealed for this entry, bucket and question, or of another scope.
    """
    backend = call.plan.cache.backend if call.plan and call.plan.cache else None
    envelope = candidate.decoded_envelope or await _decode_envelope(
        tools, candidate.envelope, backend or "semantic"
    )
    if envelope is None or call.cache_keys is None or not in_scope(call, envelope):
        return None
    known = (envelope.entry_id, envelope.bucket) == (candidate.entry_id, call.cache_keys.bucket)
    if not known or candidate.question not in ("", envelope.question):
        tools.sealer.refusals.count_refusal(backend or "semantic")
        return None
    return envelope


async def _decode_envelope(tools: Toolbox, value: bytes, store: str) -> Envelope | None:
    try:
        return await decode_in_thread(value, tools.sealer)
    except BadEnvelope:
        tools.sealer.refusals.count_refusal(store)
        return None


def in_scope(call: Call, envelope: Envelope) -> bool:
    """Whether the envelope is of the call's scope and was not reported as wrong."""
    return (
        call.cache_keys is not None
        and envelope.scope == call.cache_keys.scope
        and (envelope.scope, envelope.created_at) not in call.config.penalties.wrong_answers
    )


def is_fresh(call: Call, envelope: Envelope) -> bool:
    """Whether the entry has not expired and is not older than the request accepts (`s-maxage`)."""
    oldest = call.chat_request.cache_controls.max_age
    return call.at < envelope.expires_at and (
        oldest is None or envelope.age_seconds(call.at) <= oldest
    )


def compressed_key(call: Call) -> str | None:
    """Return the exact key of the compressed request; None without compression or exact tier."""
    if call.cache_keys is None or call.plan is None or not call.has_exact_tier:
        return None
    if call.compression is None or call.compression.messages is None:
        return None
    body = {**call.chat_request.body, "messages": call.compression.messages}
    return exact_key(body, scope=call.cache_keys.scope, plan=call.plan, route=call.resolved_route)


# Invalidation of all answers of a plan, or of those that carry a tag.
#
# Nothing is searched or deleted. Invalidating raises the configuration's revision and records, per
# plan, tenant and tag, the revision it was raised to; an entry holds the revision under which its
# answer was requested and is invalid if that is smaller. So it takes one row and no clock, a lost
# or flushed Redis brings nothing back, and a request that began before the invalidation stores an
# answer that is never served.

INVALIDATED_REASON = "forgotten"  # the reason against a semantic candidate


def is_invalidated(call: Call, envelope: Envelope) -> bool:
    """Whether the answer was requested before an invalidation of its plan or of a tag."""
    # The request's tags count too: its entry may have been stored by a request with other tags.
    return bool(call.config.min_revisions) and min_revision(call, envelope.tags) > envelope.revision


def min_revision(call: Call, tags: tuple[str, ...] = ()) -> int:
    """Return the lowest valid revision for answers under the call's plan, its tags and `tags`."""
    marks, plan = call.config.min_revisions, call.plan
    if not marks or plan is None:
        return 0
    tenant = call.key.tenant_id if call.key else None
    names = ("", *tags, *call.chat_request.cache_controls.tags)
    return max(marks.get((plan.id, whose, tag), 0) for tag in names for whose in (None, tenant))


# Expired answers that may still be served (RFC 5861): at once while one request fetches a fresh
# one, or if the provider fails.
#
# Only answers to identical requests, only if the plan allows it, and never one older than the
# request accepts (`s-maxage`).

# Seconds in which only one worker fetches a given answer, and after a failure none tries again. An
# answer that takes longer than this may be fetched twice.
REVALIDATION_LEASE_SECONDS = 30
TOO_MANY_REQUESTS = 429


def may_revalidate(call: Call, envelope: Envelope) -> bool:
    """Whether this expired answer may be served while a fresh one is fetched."""
    return _is_within_grace(
        call,
        envelope,
        call.plan.cache.stale_while_revalidate if call.plan and call.plan.cache else 0,
    )


def may_serve_on_error(call: Call, envelope: Envelope) -> bool:
    """Whether this expired answer may be served because the provider failed."""
    return _is_within_grace(
        call, envelope, call.plan.cache.stale_if_error if call.plan and call.plan.cache else 0
    )


def _is_within_grace(call: Call, envelope: Envelope, seconds: int) -> bool:
    oldest = call.chat_request.cache_controls.max_age
    return call.at < envelope.expires_at + seconds and (
        oldest is None or envelope.age_seconds(call.at) <= oldest
    )


def is_provider_failure(answer: Answer | None) -> bool:
    """Whether the answer is a server error (ours for an unreachable provider included) or a 429."""
    status = (
        answer.error.status
        if isinstance(answer, ErrorAnswer)
        else answer.status
        if isinstance(answer, CompleteAnswer)
        else 0
    )
    return status >= 500 or status == TOO_MANY_REQUESTS
