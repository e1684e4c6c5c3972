"""The configuration of a worker as one frozen value, replaced when any row of it changes."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Final, Protocol

from plans.pricing import Price
from plans.snapshot import (
    MAX_MODEL_NAME_LENGTH,
    WILDCARD,
    KeySnapshot,
    PlanSnapshot,
    is_model_name,
    is_route_granted,
)
from proxy.core.providers import KeyHeader
from proxy.core.upstream_headers import HeaderPairs

if TYPE_CHECKING:
    from proxy.core.types import Vector


# Feedback penalties: wrong answers are no longer served, and around their questions a hit needs a
# higher threshold.
#
# An answer given to the wrong question comes back as soon as either question is asked again: it is
# stored again and is as near as before. So around the question that was answered, wide enough to
# include the one that was reported, the threshold rises to half-way between the wrong pair's number
# and 1. The same words in another case or order of politeness still hit; the wrong pair does not.

# Neighbours of a wrong entry are evicted from this cosine on. In word vectors "How do I" and
# "How can I" is .945; one evicted needlessly costs a miss.
MAX_PENALTY_RADIUS = 0.93
COSINE_TOLERANCE = 0.005  # stores round vectors


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackPenalty:
    """Questions with a cosine of at least `radius` to `vector` need `threshold` for a hit."""

    embedder: str
    vector: "Vector"
    radius: float
    threshold: float


@dataclass(frozen=True, slots=True)
class FeedbackPenalties:
    """All feedback in force."""

    # (scope, creation time) of wrong answers, whatever key they are stored under.
    wrong_answers: frozenset[tuple[str, float]] = frozenset()
    by_bucket: Mapping[str, tuple[FeedbackPenalty, ...]] = field(default_factory=dict)

    def has_penalty_of(self, bucket: str, embedder: str) -> bool:
        """Whether any penalty in the bucket has a vector of that embedder."""
        return any(doubt.embedder == embedder for doubt in self.by_bucket.get(bucket, ()))

    def required_threshold(self, bucket: str, vector: "Vector", embedder: str) -> float:
        """Return the highest threshold that applies to a question; 0 if none does."""
        found = [doubt for doubt in self.by_bucket.get(bucket, ()) if doubt.embedder == embedder]
        return max(
            (doubt.threshold for doubt in found if float(doubt.vector @ vector) >= doubt.radius),
            default=0.0,
        )


def compute_penalty(similarity: float, number: float) -> tuple[float, float]:
    """Return the radius and threshold of the penalty for a wrong pair with that cosine.

    `number`: by which it passed, the cosine or the verifier's score.
    """
    return min(MAX_PENALTY_RADIUS, similarity - COSINE_TOLERANCE), number + (1 - number) / 2


MAX_LISTED_MODELS: Final = 1_000
DEFAULT_READ_TIMEOUT_SECONDS: Final = 600.0  # the timeout of the official SDKs


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of PEM files; "" for none.

    `ca`: the authorities that are believed in place of the system's; `certificate` and `key`: what
    the gateway shows of itself, the key in the certificate's file if it has no own.
    """

    ca: str = ""
    certificate: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderEndpoint:
    """A provider endpoint."""

    id: int
    name: str
    # Without `/chat/completions`.
    base_url: str
    provider: str = "openai"
    # Never shown in a repr.
    api_key: str = field(default="", repr=False)
    # Seconds.
    connect_timeout: float = 5.0
    read_timeout: float = DEFAULT_READ_TIMEOUT_SECONDS
    allow_private: bool = False
    stream_usage: bool = True
    key_header: KeyHeader = "bearer"
    # Of every request; the names of headers in lower case. Values may be secret.
    headers: HeaderPairs = field(default=(), repr=False)
    query: HeaderPairs = field(default=(), repr=False)
    # Their digest, "" without any: what an answer depends on besides the body.
    extras_digest: str = ""
    # Names of the clients' headers that reach the provider, in lower case.
    forwarded_headers: frozenset[str] = frozenset()
    # "": as the environment says, where that is asked. It may hold a password.
    proxy_url: str = field(default="", repr=False)
    tls_files: TlsFiles = TlsFiles()


class ModelPrices(Protocol):
    """Prices of a provider's models, for a route that serves whatever is asked for."""

    @property
    def models(self) -> list[str]: ...
    @property
    def find_price(self) -> Callable[[str], Price | None]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A model name for clients, with the upstream and the model's name there.

    With a wildcard at its end the name serves whatever begins like it, and `model` has one in the
    place of the rest (`serve_model`).
    """

    id: int
    name: str
    # Grows when the target changes.
    version: int
    upstream: ProviderEndpoint
    model: str
    price: Price | None = None
    # Of a wildcard.
    prices: ModelPrices | None = field(default=None, repr=False, compare=False)
    # Of the platform's plan for requests that have no other one.
    default_plan_id: int | None = None
    # By which this model is remembered apart from others of its wildcard; 0: by the id.
    served_id: int = 0

    @property
    def is_wildcard(self) -> bool:
        """Whether it serves many names, and no request by itself."""
        return self.name.endswith(WILDCARD) and not self.served_id

    @property
    def memory_id(self) -> int:
        """By what recent requests of the model are remembered."""
        return self.served_id or self.id

    def serve_model(self, asked: str) -> "Route | None":
        """Return the route of one name that a wildcard serves, None if it does not serve it."""
        prefix = self.name.removesuffix(WILDCARD)
        rest = asked[len(prefix) :]
        model = self.model.replace(WILDCARD, rest)
        if not rest or not asked.startswith(prefix) or len(model) > MAX_MODEL_NAME_LENGTH:
            return None
        digest = hashlib.sha256(f"{self.id}\0{model}".encode()).digest()
        return replace(
            self,
            model=model,
            price=self.prices.find_price(model) if self.prices else None,
            # 53 bits, which every store and JSON can hold.
            served_id=int.from_bytes(digest[:7]) >> 3 or 1,
        )

    def list_known_models(self) -> Iterator[str]:
        """Yield the names of priced models that a wildcard serves, as clients say them."""
        before, _, after = self.model.partition(WILDCARD)
        for model in self.prices.models if self.prices else ():
            if model.startswith(before) and model.endswith(after):
                rest = model.removeprefix(before).removesuffix(after)
                yield self.name.removesuffix(WILDCARD) + rest


@dataclass(frozen=True, slots=True)
class ConfigSnapshot:
    """All live keys, plans and routes."""

    # -1: not loaded yet.
    revision: int = -1
    # By digest.
    keys: dict[str, KeySnapshot] = field(default_factory=dict)
    # By (owner tenant id or None, name).
    plans: dict[tuple[int | None, str], PlanSnapshot] = field(default_factory=dict)
    # By name.
    routes: dict[str, Route] = field(default_factory=dict)
    # Route names by tenant id (see `is_route_granted`); an absent tenant has none.
    granted_routes: dict[int, frozenset[str]] = field(default_factory=dict)
    # By (plan id, tenant id or None for all, tag or "" for all answers): entries stored under an
    # earlier revision are invalidated.
    min_revisions: dict[tuple[int, int | None, str], int] = field(default_factory=dict)
    penalties: FeedbackPenalties = field(default_factory=FeedbackPenalties)
    # By name; no wildcard serves it in their place.
    disabled_routes: frozenset[str] = frozenset()
    plans_by_id: dict[int, PlanSnapshot] = field(init=False, repr=False, compare=False)
    # Names of the clients' headers that some upstream is sent.
    passable_headers: frozenset[str] = field(init=False, repr=False, compare=False)
    # Routes by their name without the wildcard, and the lengths of those, longest first.
    # None: a disabled one, which serves nothing and leaves its names to no shorter one.
    wildcards: dict[str, Route | None] = field(init=False, repr=False, compare=False)
    wildcard_lengths: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        wildcards: dict[str, Route | None] = {
            name.removesuffix(WILDCARD): self.routes.get(name)
            for name in (*self.routes, *self.disabled_routes)
            if name.endswith(WILDCARD)
        }
        object.__setattr__(self, "wildcards", wildcards)
        lengths = tuple(sorted({len(prefix) for prefix in wildcards}, reverse=True))
        object.__setattr__(self, "wildcard_lengths", lengths)
        by_id = {plan.id: plan for plan in self.plans.values()}
        object.__setattr__(self, "plans_by_id", by_id)
        named = (route.upstream.forwarded_headers for route in self.routes.values())
        object.__setattr__(self, "passable_headers", frozenset[str]().union(*named))

    def find_default_plan(self, key: KeySnapshot, plan_id: int | None) -> PlanSnapshot | None:
        """Return the plan of that id if the key may use it; None for another tenant's plan."""
        plan = self.plans_by_id.get(plan_id) if plan_id is not None else None
        return plan if plan is not None and plan.tenant_id in {None, key.tenant_id} else None

    def find_plan(self, key: KeySnapshot, name: str) -> PlanSnapshot | None:
        """Return the tenant's plan of that name, else the platform's, else None."""
        return self.plans.get((key.tenant_id, name)) or self.plans.get((None, name))

    def find_route(self, model: str) -> Route | None:
        """Return the route that serves a model's name as a client says it, None if none does.

        The route of that name, else the wildcard with the longest beginning.
        """
        route = self.routes.get(model)
        if route is not None and not route.is_wildcard:
            return route
        if not self.wildcards or model in self.disabled_routes or not is_model_name(model):
            return None
        for length in self.wildcard_lengths:
            if length < len(model) and model[:length] in self.wildcards:
                wildcard = self.wildcards[model[:length]]
                return wildcard.serve_model(model) if wildcard is not None else None
        return None

    def can_use(self, key: KeySnapshot, model: str) -> bool:
        """Return whether the key may use a model of that name, whether or not it exists."""
        route = self.find_route(model)
        served_by = route.name if route is not None else None
        granted = self.granted_routes.get(key.tenant_id, ())
        # The tenant's list allows it, and the key's own list narrows that.
        return is_route_granted(granted, model, served_by=served_by) and (
            not key.routes or model in key.routes or served_by in key.routes
        )

    def list_models(self, key: KeySnapshot) -> list[tuple[str, Route]]:
        """Return the model names that this key may use, each with its route, by name.

        Of wildcards those that have a price or are granted by name, MAX_LISTED_MODELS at most.
        """
        named = [name for name, route in self.routes.items() if not route.is_wildcard]
        served = self._list_served_models(key) if self.wildcards else ()
        found = [
            (name, route)
            for name in (*named, *served)
            if (route := self.find_route(name)) is not None and self.can_use(key, name)
        ]
        return sorted(found, key=itemgetter(0))

    def _list_served_models(self, key: KeySnapshot) -> list[str]:
        """Return names that wildcards serve, those granted by name first."""
        known = chain.from_iterable(
            route.list_known_models() for route in self.wildcards.values() if route is not None
        )
        granted = self.granted_routes.get(key.tenant_id, frozenset()) | key.routes
        names = dict.fromkeys(chain(filter(is_model_name, sorted(granted)), known))
        return list(islice((name for name in names if name not in self.routes), MAX_LISTED_MODELS))
