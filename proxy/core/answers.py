"""What a client gets: a stored answer, a whole one from the provider, or an error."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from proxy.core.caching.envelope import Envelope
from proxy.core.errors import GatewayError


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """A hit.

    `prompt_tokens` counts this request's prompt, which under the semantic tier differs from the
    stored one's. `similarity`: the cosine, `score`: the verifier's; `entry_id`: under which the
    answer is stored. `stale`: why an expired answer is served, "" for a fresh one.
    """

    envelope: Envelope
    tier: Literal["exact", "semantic"]
    prompt_tokens: int
    similarity: float | None = None
    score: float | None = None
    entry_id: str = ""
    stale: Literal["", "revalidating", "error", "only-if-cached"] = ""


@dataclass(frozen=True, slots=True)
class CompleteAnswer:
    """The provider's answer, read to its end.

    `completion` None: not a completion (an error, or not JSON). `is_sound`: it can be kept, shared
    and given again; else it is passed on as it came, once. `error_code`: of the provider's error,
    "" where it has none.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    completion: dict[str, Any] | None
    is_sound: bool = True
    error_code: str = ""


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """We answer with an error object."""

    error: GatewayError
