"""The configuration of a worker as one frozen value, replaced when any row of it changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from plans.pricing import Price
from plans.snapshot import KeySnapshot, PlanSnapshot, is_route_granted

if TYPE_CHECKING:
    from proxy.core.types import Vector


# What somebody said was wrong: answers that nobody is served any more, and neighbourhoods in which
# a hit must be nearer than elsewhere.
#
# An answer given to the wrong question comes back as soon as either question is asked anew: it is
# stored again and is as near as before. So around the question that was answered, wide enough to
# hold the one that complained, the threshold rises to half-way between the wrong pair's number and
# 1. The same words in another case or order of politeness still hit; the wrong pair does not.

MAX_PENALTY_RADIUS = 0.95  # the cosine from which on a neighbour of a wrong entry goes with it
COSINE_TOLERANCE = 0.005  # vectors come back from stores rounded


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackPenalty:
    """Questions with a cosine of `radius` or more to `vector` take a hit only at `threshold`
    or above."""

    embedder: str
    vector: "Vector"
    radius: float
    threshold: float


@dataclass(frozen=True, slots=True)
class FeedbackPenalties:
    """`wrong_answers`: (scope, time of making) of those that were wrong,
    whatever they are stored under; `by_bucket`: doubts by bucket."""

    wrong_answers: frozenset[tuple[str, float]] = frozenset()
    by_bucket: Mapping[str, tuple[FeedbackPenalty, ...]] = field(default_factory=dict)

    def required_threshold(self, bucket: str, vector: "Vector", embedder: str) -> float:
        """The highest threshold asked for where this question lies; 0 where nobody doubts."""
        found = [doubt for doubt in self.by_bucket.get(bucket, ()) if doubt.embedder == embedder]
        return max(
            (doubt.threshold for doubt in found if float(doubt.vector @ vector) >= doubt.radius),
            default=0.0,
        )


def compute_penalty(similarity: float, number: float) -> tuple[float, float]:
    """Radius and threshold of the doubt about a pair with that cosine,
    which passed by `number`: the cosine or the verifier's score."""
    return min(MAX_PENALTY_RADIUS, similarity - COSINE_TOLERANCE), number + (1 - number) / 2


# Who may call what: the whole configuration as one frozen value, replaced when any row of it
# changes.

DEFAULT_READ_TIMEOUT_SECONDS: Final = 600.0  # as long as the official SDKs wait for an answer


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderEndpoint:
    """A provider endpoint.

    `base_url` ends before `/chat/completions`; times in seconds; `api_key` never shows in a repr.
    """

    id: int
    name: str
    base_url: str
    provider: str = "openai"
    api_key: str = field(default="", repr=False)
    connect_timeout: float = 5.0
    read_timeout: float = DEFAULT_READ_TIMEOUT_SECONDS
    allow_private: bool = False
    stream_usage: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A model name that clients use, the upstream behind it and the model's name there.

    `version` grows when the target changes.
    """

    id: int
    name: str
    version: int
    upstream: ProviderEndpoint
    model: str
    price: Price | None = None


@dataclass(frozen=True, slots=True)
class ConfigSnapshot:
    """All live keys by digest, plans by (owner tenant id or None, name), routes by name,
    the names `granted_routes` to a tenant by its id (see `opens`; a tenant that is not there has
    none). `revision` -1: not loaded yet. `min_revisions`: by (plan id, tenant id or None for all
    tenants, tag or "" for all answers) the revision from which on answers count."""

    revision: int = -1
    keys: dict[str, KeySnapshot] = field(default_factory=dict)
    plans: dict[tuple[int | None, str], PlanSnapshot] = field(default_factory=dict)
    routes: dict[str, Route] = field(default_factory=dict)
    granted_routes: dict[int, frozenset[str]] = field(default_factory=dict)
    min_revisions: dict[tuple[int, int | None, str], int] = field(default_factory=dict)
    penalties: FeedbackPenalties = field(default_factory=FeedbackPenalties)

    def find_plan(self, key: KeySnapshot, name: str) -> PlanSnapshot | None:
        """The key's own tenant's plan of that name, else the platform's, else None:
        another tenant's does not exist."""
        return self.plans.get((key.tenant_id, name)) or self.plans.get((None, name))

    def can_use(self, key: KeySnapshot, route: str) -> bool:
        """Whether this key may ask for a route of that name, be there one or not:
        the tenant's list says, and the key's narrows it."""
        return is_route_granted(self.granted_routes.get(key.tenant_id, ()), route) and (
            not key.routes or route in key.routes
        )

    def list_routes(self, key: KeySnapshot) -> list[Route]:
        """The routes this key may use, by name."""
        return [route for name, route in sorted(self.routes.items()) if self.can_use(key, name)]
