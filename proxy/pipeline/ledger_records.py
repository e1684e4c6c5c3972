"""What the ledger stores of a call: its event, its fingerprint, its cache entry."""

import re
import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import fields
from decimal import Decimal
from typing import Final

import numpy as np

from plans.pricing import NO_TOKEN_DETAILS, TokenDetails
from proxy.core.answers import CachedAnswer, CompleteAnswer, ErrorAnswer
from proxy.core.caching.cache_keys import end_user_digest
from proxy.core.caching.envelope import Envelope
from proxy.core.ports import SemanticEntry
from proxy.core.prompt_caching.conversations import count_turns
from proxy.core.types import Vector
from proxy.pipeline.accounting import savings, shadow_savings
from proxy.pipeline.call import Answer, CacheKeys, Call
from stats.events import (
    MAX_PLAN_NAME_LENGTH,
    MAX_UPSTREAM_REQUEST_ID_LENGTH,
    UNKNOWN_PLAN_REASON,
    BillSource,
    CacheEntryRecord,
    Event,
    RequestFingerprint,
)

# Every request ends in exactly one event, whatever happened. Nothing here blocks.

MAX_REQUEST_TOKENS: Final = 1_000_000_000  # of one request; sums of many still fit into 64 bits
MAX_COST_USD: Final = Decimal(99_999_999)
TOKEN_DETAIL_NAMES: Final = tuple(field.name for field in fields(TokenDetails))
# Provider error codes that fit the ledger: its `error_code` has 64 characters.
ERROR_CODE_PATTERN = re.compile(r"[A-Za-z0-9_.-]{1,64}")
CLIENT_CLOSED_STATUS = 499  # nginx's code for a client that left before the answer
BILLING_FIELDS = (
    "attempts",
    "upstream_request_id",
    "not_kept",
    "engine",
    "note",
    "asked_tokens",
    "prompt_tokens",
    "cached_tokens",
    "written_tokens",
    "completion_tokens",
    "token_details",
    "tokens_saved",
    "estimated",
    "bill",
    "would_cost",
    "billed_cost",
)


def build_event(call: Call) -> Event:
    """Build the event of a finished call. It holds no prompt and no answer."""
    gained, (tokens, dollars) = savings(call), shadow_savings(call)
    failed = call.stream_fault or call.answer
    hit = (
        call.answer
        if isinstance(call.answer, CachedAnswer)
        else call.sample_candidate
        if call.sample_of
        else call.shadow_hit
    )
    return Event(
        event_id=call.request_id,
        at=call.at,
        tenant_id=call.key.tenant_id if call.key else None,
        tenant=call.key.tenant if call.key else "",
        key_id=call.key.id if call.key else None,
        key=call.key.name if call.key else "",
        plan_id=call.plan.id if call.plan else None,
        plan=call.plan.name if call.plan else _unknown_plan_name(call),
        plan_version=call.plan.version if call.plan else None,
        route=call.route.name if call.route else "",
        upstream=call.route.upstream.name if call.route else "",
        model=call.route.model if call.route else "",
        stream=call.request.stream if call.request else False,
        status=call.status or CLIENT_CLOSED_STATUS,
        outcome="client_closed" if call.client_left and call.outcome == "ok" else call.outcome,
        error_code=_ledger_error_code(failed),
        tier=call.tier,
        reason=call.reason or _stale_reason(call) or _miss_reason(call),
        similarity=hit.similarity if hit else _nearest_similarity(call),
        score=hit.score if hit else next((each.score for each in call.candidate_verdicts), None),
        entry_id=(hit.entry_id if hit else "") or _stored_entry_id(call),
        would=call.shadow_hit.tier if call.shadow_hit else "",
        shadow=call.is_in_shadow,
        would_tokens=_clamp_tokens(tokens),
        would_saved=_clamp_dollars(dollars),
        sample=call.verdict,
        basis=call.cohort if call.sample_of else "",
        collapsed=call.coalesced,
        stale=bool(_stale_reason(call)),
        turns=count_turns(call.request.messages) if call.request else 0,
        holdout=call.plan.holdout if call.holdout and call.plan else 0.0,
        replicate=call.holdout.replicate if call.holdout else 0,
        size=call.holdout.size_usd if call.holdout else 0.0,
        failures=call.failures,
        not_kept=call.not_stored_reason,
        attempts=call.attempts,
        upstream_request_id=call.upstream_request_id[:MAX_UPSTREAM_REQUEST_ID_LENGTH],
        engine=call.compression.engine
        if call.compression and call.compression.messages is not None and call.attempts
        else "",
        note=f"{call.reason or 'sample'} of {call.sample_of}"
        if call.sample_of
        else call.compression.note
        if call.compression
        else "",
        asked_tokens=_clamp_tokens(gained.prompt_tokens),
        prompt_tokens=_clamp_tokens(call.usage.prompt_tokens),
        cached_tokens=_clamp_tokens(call.usage.cached_tokens),
        written_tokens=_clamp_tokens(call.usage.cache_write_tokens),
        completion_tokens=_clamp_tokens(call.usage.completion_tokens),
        token_details=_token_details(call.usage.details),
        served_tokens=_clamp_tokens(gained.served_tokens),
        tokens_saved=max(-MAX_REQUEST_TOKENS, min(gained.saved_tokens, MAX_REQUEST_TOKENS)),
        estimated=call.usage.is_estimated,
        bill=_bill_source(call),
        would_cost=_clamp_dollars(gained.baseline_cost),
        billed_cost=_clamp_dollars(gained.billed_cost),
        spent_cost=_clamp_dollars(gained.sampling_cost) or Decimal(0),
        duration_ms=(time.monotonic() - call.started_at) * 1000,
        upstream_ms=call.upstream_seconds * 1000,
        overhead_ms=call.overhead_seconds * 1000,
    )


def _bill_source(call: Call) -> BillSource:
    """Say where the billed amount comes from."""
    if not call.attempts:
        return ""
    if call.abandoned:
        return "unknown"
    return "list" if call.usage.charged_usd is None else "charged"


def _token_details(details: TokenDetails) -> dict[str, int]:
    """Return the details above 0, by name."""
    if details is NO_TOKEN_DETAILS:
        return {}
    return {name: number for name in TOKEN_DETAIL_NAMES if (number := getattr(details, name))}


def _clamp_tokens(number: int) -> int:
    """Limit a token count to what the ledger accepts as possible."""
    return number if 0 <= number <= MAX_REQUEST_TOKENS else max(0, min(number, MAX_REQUEST_TOKENS))


def _clamp_dollars(amount: Decimal | None) -> Decimal | None:
    """Limit an amount to what the ledger's column holds."""
    # An absurd price or count must not lose the row.
    return None if amount is None else max(-MAX_COST_USD, min(amount, MAX_COST_USD))


def _stored_entry_id(call: Call) -> str:
    """Return the id of the entry that the answer is stored as; "" if it is not.

    For a follower the entry of the request that made the call; it shows who else got the answer.
    """
    ok = call.outcome == "ok" and call.status == 200
    stored = call.may_be_stored and call.writes_cache and call.attempts > 0
    return call.cache_keys.exact if ok and call.cache_keys and (stored or call.coalesced) else ""


def _unknown_plan_name(call: Call) -> str:
    """Return the requested plan name if no such plan exists, else ""."""
    # A misspelt plan name saves nothing, so it must show up in the reports.
    asked = call.asked_plan if call.reason == UNKNOWN_PLAN_REASON else None
    return (asked or "")[:MAX_PLAN_NAME_LENGTH]


def _ledger_error_code(answer: Answer | None) -> str:
    """Return our name of our own error, or the provider's code for its error."""
    if isinstance(answer, ErrorAnswer):
        return answer.error.code or answer.error.type
    return (
        answer.error_code
        if isinstance(answer, CompleteAnswer) and ERROR_CODE_PATTERN.fullmatch(answer.error_code)
        else ""
    )


def _stale_reason(call: Call) -> str:
    """Return why an expired answer was served; "" if none was."""
    return (
        f"stale-{call.answer.stale}"
        if isinstance(call.answer, CachedAnswer) and call.answer.stale
        else ""
    )


def _miss_reason(call: Call) -> str:
    """Return why the nearest candidate was rejected on a miss, or that the answer was coalesced."""
    if call.coalesced:
        return "collapsed"
    return call.vetoes[0] if call.tier == "miss" and call.vetoes else ""


def _nearest_similarity(call: Call) -> float | None:
    return call.candidates[0].similarity if call.candidates else None


# Stored per request so that another plan can be tried on it (`proxy.core.replay`).

MAX_QUANTIZED = 127


def build_fingerprint(call: Call, *, pepper: str) -> RequestFingerprint | None:
    """Build the request's fingerprint; None if no cache may answer it or it got no answer."""
    keys = call.shadow_keys or (call.cache_keys if call.reads_cache else None)
    if (
        keys is None
        or call.key is None
        or call.plan is None
        or call.sample_of
        or call.status != 200
        or call.outcome != "ok"
    ):
        return None
    return RequestFingerprint(
        event_id=call.request_id,
        at=call.at,
        tenant_id=call.key.tenant_id,
        plan_id=call.plan.id,
        key_id=call.key.id,
        asked=keys.exact[:32],
        bucket=(keys.bucket or "")[:32] if call.vector is not None else "",
        end_user=end_user_digest(
            call.chat_request.user, tenant_id=call.key.tenant_id, pepper=pepper
        ),
        vector=pack_vector(call.vector) if call.vector is not None else "",
    )


def pack_vector(vector: Vector) -> str:
    """Quantize a vector to one signed byte per dimension, scaled by the largest, as base64."""
    # This keeps the direction, which is all that a cosine compares.
    largest = float(np.abs(vector).max()) or 1.0
    return b64encode(np.rint(vector * (MAX_QUANTIZED / largest)).astype(np.int8).tobytes()).decode()


# The ledger's record of an answer that is about to be stored.


def build_entry_record(
    call: Call,
    keys: CacheKeys,
    envelope: Envelope,
    *,
    exact: Sequence[str],
    entry: SemanticEntry | None,
    size: int,
    ttl: int,
    pepper: str,
) -> CacheEntryRecord:
    """Build the ledger's record of a cache entry.

    `exact`: its keys in the exact tier; `entry`: what the semantic tier stores; `size`: bytes of
    the encoded envelope; `ttl`: seconds until the stores expire it.
    """
    assert call.key is not None and call.plan is not None and call.plan.cache is not None  # noqa: S101, PT018 -- there are no keys without
    semantic = size + len(entry.question.encode()) + 2 * len(entry.vector) if entry else 0
    return CacheEntryRecord(
        entry_id=keys.exact,
        sent=keys.compressed or "",
        tenant_id=call.key.tenant_id,
        tenant=call.key.tenant,
        plan_id=call.plan.id,
        plan=call.plan.name,
        route=call.resolved_route.name,
        namespace=call.chat_request.cache_controls.namespace or "",
        end_user=end_user_digest(
            call.chat_request.user, tenant_id=call.key.tenant_id, pepper=pepper
        ),
        backend=(call.plan.cache.backend or "") if entry else "",
        exact=bool(exact),
        bytes=size * len(exact) + semantic,
        created_at=envelope.created_at,
        expires_at=envelope.created_at + ttl,
    )
