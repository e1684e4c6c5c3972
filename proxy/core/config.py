"""The configuration of a worker as one frozen value, replaced when any row of it changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from plans.pricing import Price
from plans.snapshot import KeySnapshot, PlanSnapshot, opens

if TYPE_CHECKING:
    from proxy.core.types import Vector


# What somebody said was wrong: answers that nobody is served any more, and neighbourhoods in which
# a hit must be nearer than elsewhere.
#
# An answer given to the wrong question comes back as soon as either question is asked anew: it is
# stored again and is as near as before. So around the question that was answered, wide enough to
# hold the one that complained, the threshold rises to half-way between the wrong pair's number and
# 1. The same words in another case or order of politeness still hit; the wrong pair does not.

NEAR = 0.95  # the cosine from which on a neighbour of a wrong entry goes with it
SLACK = 0.005  # vectors come back from stores rounded


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Questions with a cosine of `radius` or more to `vector` take a hit only at `threshold` or above."""

    embedder: str
    vector: "Vector"
    radius: float
    threshold: float


@dataclass(frozen=True, slots=True)
class Doubts:
    """`answers`: (scope, time of making) of those that were wrong, whatever they are stored under; `around`: doubts by bucket."""

    answers: frozenset[tuple[str, float]] = frozenset()
    around: Mapping[str, tuple[Doubt, ...]] = field(default_factory=dict)

    def raised(self, bucket: str, vector: "Vector", embedder: str) -> float:
        """The highest threshold asked for where this question lies; 0 where nobody doubts."""
        found = [doubt for doubt in self.around.get(bucket, ()) if doubt.embedder == embedder]
        return max((doubt.threshold for doubt in found if float(doubt.vector @ vector) >= doubt.radius), default=0.0)


def penalty(similarity: float, number: float) -> tuple[float, float]:
    """Radius and threshold of the doubt about a pair with that cosine, which passed by `number`: the cosine or the verifier's score."""
    return min(NEAR, similarity - SLACK), number + (1 - number) / 2


# Who may call what: the whole configuration as one frozen value, replaced when any row of it
# changes.

READ_SECONDS: Final = 600.0  # as long as the official SDKs wait for an answer


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamTarget:
    """A provider endpoint. `base_url` ends before `/chat/completions`; times in seconds; `api_key` never shows in a repr."""

    id: int
    name: str
    base_url: str
    provider: str = "openai"
    api_key: str = field(default="", repr=False)
    connect_timeout: float = 5.0
    read_timeout: float = READ_SECONDS
    allow_private: bool = False
    stream_usage: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A model name that clients use, the upstream behind it and the model's name there. `version` grows when the target changes."""

    id: int
    name: str
    version: int
    upstream: UpstreamTarget
    model: str
    price: Price | None = None


@dataclass(frozen=True, slots=True)
class Directory:
    """All live keys by digest, plans by (owner tenant id or None, name), routes by name, the names `granted` to a tenant by its id (see
    `opens`; a tenant that is not there has none). `revision` -1: not loaded yet. `forgotten`: by
    (plan id, tenant id or None for all tenants, tag or "" for all answers) the revision from which on answers count."""

    revision: int = -1
    keys: dict[str, KeySnapshot] = field(default_factory=dict)
    plans: dict[tuple[int | None, str], PlanSnapshot] = field(default_factory=dict)
    routes: dict[str, Route] = field(default_factory=dict)
    granted: dict[int, frozenset[str]] = field(default_factory=dict)
    forgotten: dict[tuple[int, int | None, str], int] = field(default_factory=dict)
    doubts: Doubts = field(default_factory=Doubts)

    def plan_for(self, key: KeySnapshot, name: str) -> PlanSnapshot | None:
        """The key's own tenant's plan of that name, else the platform's, else None: another tenant's does not exist."""
        return self.plans.get((key.tenant_id, name)) or self.plans.get((None, name))

    def may_use(self, key: KeySnapshot, route: str) -> bool:
        """Whether this key may ask for a route of that name, be there one or not: the tenant's list says, and the key's narrows it."""
        return opens(self.granted.get(key.tenant_id, ()), route) and (not key.routes or route in key.routes)

    def routes_for(self, key: KeySnapshot) -> list[Route]:
        """The routes this key may use, by name."""
        return [route for name, route in sorted(self.routes.items()) if self.may_use(key, name)]
