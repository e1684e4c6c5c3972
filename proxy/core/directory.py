"""Who may call what: the whole configuration as one frozen value, replaced when any row of it changes."""

from dataclasses import dataclass, field
from typing import Final

from plans.pricing import Price
from plans.snapshot import KeySnapshot, PlanSnapshot, opens
from proxy.core.doubts import Doubts

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
