"""Port to the running system's capabilities, implemented in `gateway_project`.

It keeps plans independent of the gateway.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol, cast

from django.conf import settings
from django.utils.module_loading import import_string

from plans.models import Tenant
from plans.snapshot import CompressionFocus, find_serving_route, is_route_granted


@dataclass(frozen=True, slots=True)
class EngineOption:
    """An engine that a plan can name; `reason`: why it is unavailable, else empty."""

    name: str
    title: str
    available: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CompressionEngineOption(EngineOption):
    """A compression engine; `focus`: the values of `compression.focus` it supports, best first."""

    focus: tuple[CompressionFocus, ...] = ("none",)


@dataclass(frozen=True, slots=True)
class ChatTurnCounts:
    """Recent requests of a plan, and how many of them were later turns of a chat."""

    requests: int = 0
    later_turns: int = 0


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """A virtual key's recent requests."""

    # Of the last 24 hours, by whole hours.
    requests: int = 0
    # The latest request within 90 days.
    last_at: datetime | None = None


class Capabilities(Protocol):
    """What the running system can do; queried when a plan is saved or engines are listed."""

    def list_compression_engines(self) -> list[CompressionEngineOption]: ...

    def list_cache_engines(self) -> list[EngineOption]:
        """List all semantic backends, each probed live (about a second at worst)."""
        ...

    def list_languages(self) -> list[str]:
        """List the values of `compression.language`."""
        ...

    def list_routes(self) -> list[str]:
        """List the model names that requests can use, and wildcards for others, sorted."""
        ...

    def list_route_plans(self) -> dict[str, str]:
        """Return the default plan's name by route, of the routes that have one."""
        ...

    def count_later_turns(self, plan_id: int) -> ChatTurnCounts:
        """Count the plan's recent requests and those that were later turns of a chat."""
        ...

    def sum_recent_savings(self, plan_ids: Collection[int]) -> dict[int, Decimal]:
        """Sum what each plan saved in the last 30 days, in US dollars.

        Plans without a priced request are left out.
        """
        ...

    def count_key_uses(self, key_ids: Collection[int]) -> dict[int, KeyUsage]:
        """Count the recent requests of these virtual keys; unused keys are left out."""
        ...

    def find_backend_problem(self, backend: str) -> str | None:
        """Return why the backend cannot serve now; None if it can.

        Probes it live, within about a second. For an unknown name the text lists the known ones.
        """
        ...

    def find_verifier_problem(self) -> str | None:
        """Return why the verifier cannot run now; None if it can."""
        ...


class _TenantCapabilities:
    """The system's capabilities with only the routes that the tenant's keys can use."""

    def __init__(self, system: Any, tenant: Tenant) -> None:
        self._system, self._tenant = system, tenant

    def list_routes(self) -> list[str]:
        routes = self._system.list_routes()
        own = {name for name in routes if is_route_granted(self._tenant.routes, name)}
        # Of what a wildcard serves a tenant may be granted single names.
        own |= {name for name in self._tenant.routes if find_serving_route(routes, name)}
        return sorted(own)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._system, name)


def get_tenant_capabilities(
    tenant: Tenant | None, system: Capabilities | None = None
) -> Capabilities:
    """Return the running system's capabilities for the tenant; None for the platform."""
    system = system or get_capabilities()
    return system if tenant is None else cast(Capabilities, _TenantCapabilities(system, tenant))


def get_capabilities() -> Capabilities:
    """Return an instance of the implementation that settings.CAPABILITIES names."""
    return cast(Capabilities, import_string(settings.CAPABILITIES)())
