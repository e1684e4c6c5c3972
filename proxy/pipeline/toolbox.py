"""Everything a stage may use: ports, limits, circuit breakers, observers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from proxy.core.caching.local_cache import Recent
from proxy.core.caching.prepared_requests import Prepared
from proxy.core.circuit_breaker import Breaker
from proxy.core.concurrency import Background, InFlight
from proxy.core.flights import Flights
from proxy.core.formats.body_limits import DEFAULT_LIMITS, BodyLimits
from proxy.core.ports import Chats, Compressor, Embedder, ExactCache, Leases, Ledger, SemanticCache, Source, Upstream, Verifier
from proxy.core.prompt_caching.observed_discount import Discounts
from proxy.core.quality.error_budget import Budgets
from proxy.core.sealing import Sealer
from stats.events import Event

if TYPE_CHECKING:
    from proxy.pipeline.call import Call


class Watcher(Protocol):
    """Told of every finished call, after the ledger: metrics, traces, a line in the log. Returns at once and raises nothing."""

    def __call__(self, call: "Call", event: Event) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Deployment-wide limits, from settings. Times in seconds. `requests_per_key`: at a time, 0 for any number."""

    body_bytes: int = 16 * 1024 * 1024
    body: BodyLimits = DEFAULT_LIMITS
    cache_budget: float = 0.1
    store_budget: float = 2.0
    key_pepper: str = field(default="", repr=False)
    upstream_bytes: int = 64 * 1024 * 1024
    floor: float = 0.50
    candidates: int = 3
    imprints: bool = True
    requests_per_key: int = 0


class Breakers(dict[str, Breaker]):
    """One breaker a tool, made when first asked for."""

    def __missing__(self, name: str) -> Breaker:
        return self.setdefault(name, Breaker(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolbox:
    """Everything a stage may use. `semantic`: backends by name; one that is not configured is absent. `verifier` None: only questions that
    read the same share an answer under `match: verified`."""

    source: Source
    exact: ExactCache
    semantic: Mapping[str, SemanticCache]
    sealer: Sealer
    embedder: Embedder
    compressor: Compressor
    chats: Chats
    upstream: Upstream
    ledger: Ledger
    limits: Limits
    verifier: Verifier | None = None
    in_flight: InFlight = field(default_factory=InFlight)
    prepared: Prepared = field(default_factory=Prepared)
    recent: Recent = field(default_factory=Recent)
    flights: Flights = field(default_factory=Flights)
    leases: Leases | None = None  # None: this worker is the only one
    breakers: Breakers = field(default_factory=Breakers)
    discounts: Discounts = field(default_factory=Discounts)

    @property
    def judge(self) -> str:
        """Who says how near two questions are: the ids of embedder and verifier."""
        return f"{self.embedder.id}+{self.verifier.id}" if self.verifier else self.embedder.id

    budgets: Budgets = field(default_factory=Budgets)
    background: Background = field(default_factory=Background)
    watchers: tuple["Watcher", ...] = ()
