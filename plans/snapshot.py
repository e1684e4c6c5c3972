"""Frozen copies of what the database says: the request path reads these and never a model.

A snapshot is taken by `plans.selectors`, handed to every worker, and replaced whole when a row
changes, so a request in flight finishes on the version it began with.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

PlanMode = Literal["active", "shadow", "off"]
CompressionFocus = Literal["question", "none"]
CompressionWhen = Literal["always", "saves"]
ScopeKind = Literal["tenant", "key", "user"]
MatchMethod = Literal["verified", "cosine"]
ToolCallReuse = Literal["none", "output", "all"]
ContextMatching = Literal["strict", "window", "last_message"]
# In a tenant's list: every route, also one made later. No route can have this name.
ALL_ROUTES: Final = "*"


def is_route_granted(granted: Collection[str], route: str) -> bool:
    """Whether this list of a tenant's routes holds that one. An empty list opens nothing."""
    return route in granted or ALL_ROUTES in granted


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionSettings:
    """The compression half of a plan.

    `max_input_tokens` counts the whole prompt as the provider bills it. `focus`: what is kept of an
    old chat is chosen for the question it ends with, or whatever it asks. `when`: a chat is cut
    whenever it is longer, or only where that saves money. `deadline_ms`: how long a request waits
    for it, None: as long as the gateway lets any.
    """

    engine: str
    max_input_tokens: int
    language: str = "english"
    min_sentences: int = 1
    focus: CompressionFocus = "question"
    when: CompressionWhen = "always"
    deadline_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings:
    """The cache half of a plan. `backend` None = exact only.

    `similarity_threshold` in 0..1, of the verifier's calibrated score or of the cosine, as `match`
    says. `context`: what of a chat before its final question must agree: all of it to the letter,
    the last `window` turns by meaning, or nothing. `max_error_rate`: the share of wrong hits that
    is accepted, None: not measured; `sample_rate`: of would-be hits that are asked upstream too, to
    measure it; `judge_model`: the route whose model says whether both answers are the same, None:
    rules do. `tool_calls`: which answers that call tools are kept: none, those that had to (it is
    their output), or all. Seconds: `ttl`, shortened for each entry by up to the share `ttl_jitter`;
    `stale_while_revalidate` and `stale_if_error` after it.
    """

    exact: bool = True
    backend: str | None = "pgvector_semantic"
    similarity_threshold: float = 0.85
    match: MatchMethod = "verified"
    context: ContextMatching = "window"
    window: int = 2
    max_error_rate: float | None = None
    sample_rate: float = 0.05
    judge_model: str | None = None
    ttl: int = 3600
    ttl_jitter: float = 0.1
    stale_while_revalidate: int = 0
    stale_if_error: int = 0
    scope: ScopeKind = "tenant"
    tool_calls: ToolCallReuse = "output"
    max_temperature: float = 1.0
    time_sensitive: bool = False
    personal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSnapshot:
    """One plan as the request path sees it.

    `tenant_id` None: the platform's own, open to every tenant. `holdout`: the share of requests
    that go without the plan, to measure what it saves.
    """

    id: int
    name: str
    version: int
    tenant_id: int | None = None
    mode: PlanMode = "active"
    compression: CompressionSettings | None = None
    cache: CacheSettings | None = None
    holdout: float = 0.0

    @property
    def answer_digest(self) -> str:
        """Digest of the fields that change what the model is sent, hence its answer.

        Part of every cache key.
        """
        return hashlib.sha256(repr(self.compression).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySnapshot:
    """A virtual key that is neither revoked nor expired.

    `routes` empty: all of its tenant's; `expires_at` in epoch seconds.
    """

    id: int
    name: str
    digest: str
    tenant_id: int
    tenant: str
    routes: frozenset[str] = frozenset()
    expires_at: float | None = None
