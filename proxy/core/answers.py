"""Answers to a client: a cached one, a complete one of the provider, or an error."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from proxy.core.caching.envelope import Envelope
from proxy.core.errors import GatewayError

# Of a provider's proxy whose backend did not answer in time.
UPSTREAM_TIMEOUT_STATUSES: Final = frozenset({408, 499, 504, 524})


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """A cache hit."""

    envelope: Envelope
    tier: Literal["exact", "semantic"]
    # Of this request; a semantic hit's stored prompt differs.
    prompt_tokens: int
    # The cosine.
    similarity: float | None = None
    # The verifier's.
    score: float | None = None
    entry_id: str = ""
    # Why an expired answer is served.
    stale: Literal["", "revalidating", "error", "only-if-cached"] = ""


@dataclass(frozen=True, slots=True)
class CompleteAnswer:
    """The provider's answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    # None: an error, or not JSON.
    completion: dict[str, Any] | None
    # Can be stored, shared and replayed; otherwise it is passed through once, unchanged.
    is_sound: bool = True
    # The provider's, if it sent an error.
    error_code: str = ""

    @property
    def is_outcome_unknown(self) -> bool:
        """Whether the provider may have done the work, and bill it, though it did not answer."""
        return self.status in UPSTREAM_TIMEOUT_STATUSES


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """An error object of the gateway."""

    error: GatewayError
