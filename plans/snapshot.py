"""Frozen copies of what the database says: the request path reads these and never a model.

A snapshot is taken by `plans.selectors`, handed to every worker, and replaced whole when a row changes, so a request
in flight finishes on the version it began with.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal

Mode = Literal["active", "off"]
Focus = Literal["question", "none"]
When = Literal["always", "saves"]
ScopeKind = Literal["tenant", "key", "user"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionSettings:
    """The compression half of a plan. `max_input_tokens` counts the whole prompt as the provider bills it. `focus`: what is kept of an
    old chat is chosen for the question it ends with, or whatever it asks. `when`: a chat is cut whenever it is longer, or only where that
    saves money. `deadline_ms`: how long a request waits for it, None: as long as the gateway lets any."""

    engine: str
    max_input_tokens: int
    language: str = "english"
    min_sentences: int = 1
    focus: Focus = "question"
    when: When = "always"
    deadline_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings:
    """The cache half of a plan. `ttl` in seconds; `similarity_threshold` a cosine in 0..1; `backend` None = exact only."""

    exact: bool = True
    backend: str | None = "pgvector_semantic"
    similarity_threshold: float = 0.85
    ttl: int = 3600
    scope: ScopeKind = "tenant"
    max_temperature: float = 1.0
    time_sensitive: bool = False
    personal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSnapshot:
    """One plan as the request path sees it. `tenant_id` None: the platform's own, open to every tenant."""

    id: int
    name: str
    version: int
    tenant_id: int | None = None
    mode: Mode = "active"
    compression: CompressionSettings | None = None
    cache: CacheSettings | None = None

    @property
    def answer_digest(self) -> str:
        """Digest of the fields that change what the model is sent, hence its answer. Part of every cache key."""
        return hashlib.sha256(repr(self.compression).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySnapshot:
    """A virtual key that is neither revoked nor expired. `routes` empty: all routes; `expires_at` in epoch seconds."""

    id: int
    name: str
    digest: str
    tenant_id: int
    tenant: str
    routes: frozenset[str] = frozenset()
    expires_at: float | None = None
