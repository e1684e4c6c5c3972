"""The response headers that tell a client what was decided.

Cache-Status is RFC 9211, Age RFC 9111 section 5.1.
"""

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from math import ceil, floor
from typing import Final

from proxy.core.answers import CachedAnswer, CompleteAnswer
from proxy.core.formats.provider_secrets import get_provider_secrets
from proxy.pipeline.accounting import Savings, estimated_savings
from proxy.pipeline.call import Call, StreamingAnswer

Header = tuple[bytes, bytes]
STREAM_HEADERS: list[Header] = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # or nginx buffers them
]

# Hop-by-hop and length headers are set by us; of the rest these matter to a client's retries,
RETRY_HEADERS: Final = ("retry-after", "retry-after-ms", "x-should-retry")
# and these describe the upstream call, so they go only to the client it was made for.
CALL_HEADERS: Final = ("openai-processing-ms",)
CALL_HEADER_PREFIXES: Final = ("x-ratelimit-",)
# Headers in which providers return their request id, the most specific first.
REQUEST_ID_HEADERS: Final = (
    "x-request-id",
    "request-id",
    "x-amzn-requestid",
    "x-amzn-request-id",
    "apim-request-id",
    "x-ms-request-id",
    "x-generation-id",
    "x-goog-request-id",
    "x-ds-trace-id",
    "cf-ray",
)
MAX_PASSED_HEADERS: Final = 32
MAX_PASSED_VALUE_LENGTH: Final = 200


def filter_upstream_headers(call: Call) -> list[Header]:
    """Select the provider's headers for the client; a follower gets only those about retries."""
    answer = call.answer
    if not isinstance(answer, CompleteAnswer | StreamingAnswer) or call.route is None:
        return []
    headers = answer.headers if isinstance(answer, CompleteAnswer) else answer.reply.headers
    passed = [
        (name, value)
        for name, value in headers.items()
        if _is_passed(name, shared=call.coalesced) and _is_plain_text(value)
    ]
    if not passed:
        return []
    secrets, values = get_provider_secrets(call.route.upstream), [value for _, value in passed]
    together = "\n".join(values)
    # Check all values at once: they hardly ever contain a secret.
    if secrets.redact_text(together) != together:
        values = [secrets.redact_text(value) for value in values]
    names = (name.lower().encode("ascii") for name, _ in passed)
    return list(zip(names, (value.encode("ascii") for value in values), strict=True))[
        :MAX_PASSED_HEADERS
    ]


@lru_cache(maxsize=1024)
def _is_passed(name: str, *, shared: bool) -> bool:
    name = name.lower()
    of_call = name in CALL_HEADERS or name.startswith(CALL_HEADER_PREFIXES)
    return name in RETRY_HEADERS or (of_call and not shared and name.isascii())


def _is_plain_text(value: str) -> bool:
    return value.isascii() and value.isprintable() and len(value) <= MAX_PASSED_VALUE_LENGTH


def find_upstream_request_id(call: Call, headers: Mapping[str, str]) -> str:
    """Return the provider's request id; "" if it sends none or only echoes ours."""
    for name in REQUEST_ID_HEADERS:
        value = headers.get(name, "").strip()
        if value and value != call.request_id and _is_plain_text(value):
            return get_provider_secrets(call.resolved_route.upstream).redact_text(value)
    return ""


def build_decision_headers(call: Call, now: float) -> list[Header]:
    """Build our headers for this call at epoch second `now`."""
    found = {b"x-request-id": call.request_id}
    if call.upstream_request_id and not isinstance(call.answer, CachedAnswer):
        found[b"x-upstream-request-id"] = call.upstream_request_id
    if call.request is not None and call.route is not None:
        found |= _cache_headers(call, now) | _savings_headers(call, estimated_savings(call))
        # Whole milliseconds, rounded up: finer values would reveal to anyone who may ask whether a
        # request was made before.
        found[b"x-tokenthrift-overhead-ms"] = str(ceil(call.overhead_seconds * 1000))
    return [(name, value.encode("ascii", "replace")) for name, value in found.items()]


def _cache_headers(call: Call, now: float) -> dict[bytes, str]:
    found = {b"x-tokenthrift-cache": call.tier, b"cache-status": _cache_status(call, now)}
    if call.plan is not None:
        found[b"x-tokenthrift-plan"] = call.plan.name
    if call.reason:
        found[b"x-tokenthrift-bypass-reason"] = call.reason
    if call.is_in_shadow and call.shadow_hit is not None:
        found[b"x-tokenthrift-would"] = call.shadow_hit.tier
    if isinstance(call.answer, CachedAnswer):
        found[b"age"] = str(call.answer.envelope.age_seconds(now))
        if call.answer.stale:
            found[b"x-tokenthrift-stale"] = call.answer.stale
        if call.answer.similarity is not None:
            found[b"x-tokenthrift-similarity"] = f"{call.answer.similarity:.2f}"
        if call.answer.score is not None:
            found[b"x-tokenthrift-score"] = f"{call.answer.score:.2f}"
    return found


def _cache_status(call: Call, now: float) -> str:
    if call.coalesced:  # a shared error is no hit: `collapsed` is RFC 9211's term
        return (
            "tokenthrift; hit; detail=collapsed"
            if call.tier == "exact"
            else "tokenthrift; fwd=miss; collapsed"
        )
    if isinstance(call.answer, CachedAnswer):
        left = call.answer.envelope.expires_at - now
        # Section 2.2: `hit` means that nothing was forwarded; section 2.4: a negative ttl means
        # stale.
        if call.answer.stale:
            return (
                f"tokenthrift; {'fwd=stale' if call.attempts else 'hit'}; "
                f"ttl={min(-1, floor(left))}; detail=stale"
            )
        return f"tokenthrift; hit; ttl={max(0, int(left))}; detail={call.answer.tier}"
    if call.tier == "bypass":
        return f"tokenthrift; fwd=bypass; detail={call.reason}"
    forwarded = "tokenthrift; fwd=request" if call.reason == "no-cache" else "tokenthrift; fwd=miss"
    if call.may_be_stored:  # section 2.5; it is written once this is sent
        return f"{forwarded}; stored"
    return f"{forwarded}; detail={call.not_stored_reason}" if call.not_stored_reason else forwarded


def _savings_headers(call: Call, gained: Savings) -> dict[bytes, str]:
    if call.coalesced and isinstance(call.answer, StreamingAnswer):
        return {}  # known when the stream has ended
    found = {b"x-tokenthrift-tokens-saved": str(gained.saved_tokens)}
    if gained.cost_saved is not None:
        found[b"x-tokenthrift-cost-saved-usd"] = format_dollars(gained.cost_saved)
    cut = call.compression
    if cut is not None and cut.messages is not None and not isinstance(call.answer, CachedAnswer):
        found[b"x-tokenthrift-compression"] = f"{cut.after / cut.before:.3f}"
    if cut is not None and cut.note:
        found[b"x-tokenthrift-compression-note"] = cut.note
    return found


def format_dollars(value: Decimal) -> str:
    """Format an amount in plain notation, without exponent and trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
