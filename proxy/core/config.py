"""The configuration of a worker as one frozen value, replaced when any row of it changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from plans.pricing import Price
from plans.snapshot import KeySnapshot, PlanSnapshot, is_route_granted
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A model name for clients, with the upstream and the model's name there."""

    id: int
    name: str
    # Grows when the target changes.
    version: int
    upstream: ProviderEndpoint
    model: str
    price: Price | None = None
    # Of the platform's plan for requests that have no other one.
    default_plan_id: int | None = None


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
    plans_by_id: dict[int, PlanSnapshot] = field(init=False, repr=False, compare=False)
    # Names of the clients' headers that some upstream is sent.
    passable_headers: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
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

    def can_use(self, key: KeySnapshot, route: str) -> bool:
        """Return whether the key may use a route of that name, whether or not it exists."""
        # The tenant's list allows it, and the key's own list narrows that.
        return is_route_granted(self.granted_routes.get(key.tenant_id, ()), route) and (
            not key.routes or route in key.routes
        )

    def list_routes(self, key: KeySnapshot) -> list[Route]:
        """Return the routes this key may use, by name."""
        return [route for name, route in sorted(self.routes.items()) if self.can_use(key, name)]
