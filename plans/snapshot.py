"""Frozen copies of the configuration, which the request path reads instead of models.

Loaded by `plans.selectors` in every worker, and replaced as a whole after a change: a request in
flight finishes on the snapshot it began with.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from string import ascii_letters, digits
from typing import Final, Literal

from plans.strictness import Strictness, find_threshold

PlanMode = Literal["active", "shadow", "off"]
CompressionFocus = Literal["question", "none"]
CompressionWhen = Literal["always", "saves"]
ScopeKind = Literal["tenant", "key", "user"]
MatchMethod = Literal["verified", "cosine"]
ToolCallReuse = Literal["none", "output", "all"]
ContextMatching = Literal["strict", "window", "last_message"]
# In a tenant's list it grants every route, also future ones. No route can have this name.
ALL_ROUTES: Final = "*"
# At the end of a route's name: the route serves every model whose name begins with the rest.
WILDCARD: Final = "*"
# What a client says in place of a wildcard ends up in a ledger and in a provider's request.
MODEL_NAME_CHARACTERS: Final = frozenset(f"{ascii_letters}{digits}._:/@+-")
MAX_MODEL_NAME_LENGTH: Final = 200
# What a request says in place of a plan's name to go without any. No new plan can have this name.
NO_PLAN_NAME: Final = "none"


def is_route_granted(granted: Collection[str], model: str, *, served_by: str | None = None) -> bool:
    """Whether a tenant's list of routes includes a model's name; an empty list grants none.

    `served_by`: the route behind the name. Granting a route with a wildcard grants what it serves,
    and no route of its own whose name begins alike.
    """
    return model in granted or ALL_ROUTES in granted or served_by in granted


def find_serving_route(routes: Collection[str], model: str) -> str | None:
    """Return the name of the route that serves a model's name, None if none does.

    The route of that very name, else the longest that ends in a wildcard and begins like it.
    """
    if not is_model_name(model):
        return None
    if model in routes:
        return model
    served = [
        name
        for name in routes
        if name.endswith(WILDCARD)
        and len(name) <= len(model)
        and model.startswith(name.removesuffix(WILDCARD))
    ]
    return max(served, key=len, default=None)


def is_model_name(text: str) -> bool:
    """Whether a client may name a model so where a wildcard serves it."""
    return 0 < len(text) <= MAX_MODEL_NAME_LENGTH and MODEL_NAME_CHARACTERS.issuperset(text)


def is_opt_out(name: str) -> bool:
    """Whether a request that says this in place of a plan's name goes without any plan."""
    return name.lower() in {"", NO_PLAN_NAME}


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionSettings:
    """The compression half of a plan."""

    engine: str
    # Of the whole prompt, as the provider bills it.
    max_input_tokens: int
    language: str = "english"
    min_sentences: int = 1
    # question: what stays of an old chat is chosen for the question it ends with; none: whatever it
    # asks.
    focus: CompressionFocus = "question"
    # always: a chat over the limit is compressed; saves: only if that saves money.
    when: CompressionWhen = "always"
    # How long a request waits for compression. None: the gateway's limit.
    deadline_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings:
    """The cache half of a plan; times in seconds."""

    exact: bool = True
    # None: exact lookup only.
    backend: str | None = "pgvector_semantic"
    # From 0 to 1, of the verifier's calibrated score or of the cosine, as `match` says.
    similarity_threshold: float = 0.85
    # A threshold of the verifier's score by name. None: similarity_threshold decides.
    strictness: Strictness | None = None
    match: MatchMethod = "verified"
    # What of a chat before its last question must agree: strict: all, to the letter; window: the
    # last `window` turns, by meaning; last_message: nothing.
    context: ContextMatching = "window"
    window: int = 2
    # The accepted share of wrong hits. None: not measured.
    max_error_rate: float | None = None
    # Share of would-be hits that are also sent upstream, to measure the error rate.
    sample_rate: float = 0.05
    # Route whose model decides whether both answers are the same. None: rules do.
    judge_model: str | None = None
    ttl: int = 3600
    # Each entry's TTL is shortened by up to this share.
    ttl_jitter: float = 0.1
    # Both follow the TTL.
    stale_while_revalidate: int = 0
    stale_if_error: int = 0
    scope: ScopeKind = "tenant"
    # Which answers that call tools are cached. output: those that had to call one, as their output.
    tool_calls: ToolCallReuse = "output"
    max_temperature: float = 1.0
    time_sensitive: bool = False
    personal: bool = False

    @property
    def threshold(self) -> float:
        """The score or cosine that a stored question must reach, as the plan says."""
        return find_threshold(self.strictness, self.match, self.similarity_threshold)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSnapshot:
    """A plan on the request path."""

    id: int
    name: str
    version: int
    # None: the platform's, usable by every tenant.
    tenant_id: int | None = None
    mode: PlanMode = "active"
    compression: CompressionSettings | None = None
    cache: CacheSettings | None = None
    # Share of requests served without the plan, to measure what it saves.
    holdout: float = 0.0

    @property
    def answer_digest(self) -> str:
        """Digest of the settings that change what the model is sent; part of every cache key."""
        return hashlib.sha256(repr(self.compression).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySnapshot:
    """A virtual key that is neither revoked nor expired."""

    id: int
    name: str
    digest: str
    tenant_id: int
    tenant: str
    # Empty: all of its tenant's.
    routes: frozenset[str] = frozenset()
    # Ids of the default plans of the key itself and of its tenant.
    default_plan_id: int | None = None
    tenant_plan_id: int | None = None
    # In epoch seconds.
    expires_at: float | None = None
    # Known, and refused until it is resumed.
    paused: bool = False
