"""Everything a stage may use: ports, limits, circuit breakers, observers."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from plans.snapshot import CacheSettings
from proxy.core.caching.local_cache import LocalCache
from proxy.core.caching.prepared_requests import PreparedRequests
from proxy.core.circuit_breaker import CircuitBreaker
from proxy.core.concurrency import BackgroundTasks, ConcurrencyLimiter
from proxy.core.flights import FlightRegistry
from proxy.core.formats.body_limits import DEFAULT_LIMITS, BodyLimits
from proxy.core.ports import (
    ChatVerifier,
    Compressor,
    ConfigSource,
    ConversationStore,
    Embedder,
    ExactCache,
    Leases,
    Ledger,
    SemanticCache,
    Upstream,
    Verifier,
)
from proxy.core.prompt_caching.observed_discount import CachedShareEstimator
from proxy.core.quality.cohort import derive_scorer_id
from proxy.core.quality.error_budget import ErrorBudgets
from proxy.core.sealing import Sealer
from stats.events import Event

if TYPE_CHECKING:
    from proxy.pipeline.call import Call


class Observer(Protocol):
    """Called with every finished call after the ledger: metrics, traces, a log line.

    Returns at once and raises nothing.
    """

    def __call__(self, call: "Call", event: Event) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Deployment-wide limits, from settings.

    Times in seconds. `max_requests_per_key`: concurrent requests, 0 for no limit.
    """

    max_body_bytes: int = 16 * 1024 * 1024
    body_limits: BodyLimits = DEFAULT_LIMITS
    cache_seconds: float = 0.1
    store_seconds: float = 2.0
    key_pepper: str = field(default="", repr=False)
    max_upstream_bytes: int = 64 * 1024 * 1024
    min_similarity: float = 0.50
    max_candidates: int = 5
    records_fingerprints: bool = True
    max_requests_per_key: int = 0


class CircuitBreakers(dict[str, CircuitBreaker]):
    """Circuit breakers by tool, created on first use."""

    def __missing__(self, name: str) -> CircuitBreaker:
        return self.setdefault(name, CircuitBreaker(name))


@dataclass(frozen=True, slots=True)
class SemanticIndex:
    """An embedder, and by name the configured backends that find entries by its vectors."""

    embedder: Embedder
    caches: Mapping[str, SemanticCache]


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolbox:
    """Everything a stage may use.

    `semantic_caches`: by backend name, configured ones only, with the vectors of `embedder`.
    `word_index`: finds the entries of plans that verify; None: they are found by those too. Without
    a `verifier` only equivalent questions share an answer under `match: verified`; without a
    `chat_verifier`, only chats whose turns agree one by one.
    """

    config_source: ConfigSource
    exact_cache: ExactCache
    semantic_caches: Mapping[str, SemanticCache]
    sealer: Sealer
    embedder: Embedder
    word_index: SemanticIndex | None = None
    compressor: Compressor
    conversations: ConversationStore
    upstream: Upstream
    ledger: Ledger
    limits: Limits
    verifier: Verifier | None = None
    chat_verifier: ChatVerifier | None = None
    # Besides English, by `match` of the plan: what the operator's own models read.
    foreign_languages: Mapping[str, Collection[str]] = field(default_factory=dict)
    concurrency_limiter: ConcurrencyLimiter = field(default_factory=ConcurrencyLimiter)
    prepared_requests: PreparedRequests = field(default_factory=PreparedRequests)
    local_cache: LocalCache = field(default_factory=LocalCache)
    flights: FlightRegistry = field(default_factory=FlightRegistry)
    leases: Leases | None = None  # None: this worker is the only one
    breakers: CircuitBreakers = field(default_factory=CircuitBreakers)
    cached_shares: CachedShareEstimator = field(default_factory=CachedShareEstimator)

    def select_index(self, cache: CacheSettings) -> SemanticIndex:
        """Return where the entries of a plan with these settings are found and stored.

        Under `match: cosine` the model's own cosines decide; where a verifier decides, neighbours
        may be found by whatever finds the right ones.
        """
        if self.word_index is not None and cache.match == "verified":
            return self.word_index
        return SemanticIndex(self.embedder, self.semantic_caches)

    def list_semantic_caches(self) -> list[SemanticCache]:
        """Return every backend, once for each embedder."""
        by_words = self.word_index.caches.values() if self.word_index else ()
        return [*by_words, *self.semantic_caches.values()]

    def find_semantic_cache(self, name: str, embedder_id: str) -> SemanticCache | None:
        """Return the backend of that name with the vectors of that embedder."""
        if self.word_index is not None and self.word_index.embedder.id == embedder_id:
            return self.word_index.caches.get(name)
        return self.semantic_caches.get(name)

    @property
    def scorer_id(self) -> str:
        """The ids of embedder and verifier, which together produce the similarity scores."""
        return derive_scorer_id(self.embedder.id, self.verifier.id if self.verifier else None)

    error_budgets: ErrorBudgets = field(default_factory=ErrorBudgets)
    background_tasks: BackgroundTasks = field(default_factory=BackgroundTasks)
    observers: tuple["Observer", ...] = ()
