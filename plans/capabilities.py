"""What the running system can do, as a port: `gateway_project` fills it,
so that plans need not know the gateway."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol, cast

from django.conf import settings
from django.utils.module_loading import import_string

from plans.models import Tenant
from plans.snapshot import CompressionFocus, is_route_granted


@dataclass(frozen=True, slots=True)
class EngineOption:
    """Something a plan can name. `reason` says why it is not available, else it is empty."""

    name: str
    title: str
    available: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CompressionEngineOption(EngineOption):
    """`focus`: what `compression.focus` may be with this engine, the best first."""

    focus: tuple[CompressionFocus, ...] = ("none",)


@dataclass(frozen=True, slots=True)
class ChatTurnCounts:
    """Requests of one plan of late, and those among them that had earlier turns of their user."""

    requests: int = 0
    later_turns: int = 0


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """Requests made with a virtual key in the last 24 hours, whole hours counted;
    `last_at`: the latest within 90 days."""

    requests: int = 0
    last_at: datetime | None = None


class Capabilities(Protocol):
    """Asked whenever a plan is saved or the engines are listed."""

    def list_compression_engines(self) -> list[CompressionEngineOption]: ...

    def list_cache_engines(self) -> list[EngineOption]:
        """Every semantic backend, with a live check of each (about a second at worst)."""
        ...

    def list_languages(self) -> list[str]:
        """What `compression.language` may be."""
        ...

    def list_routes(self) -> list[str]:
        """The model names that requests may ask for, by name."""
        ...

    def count_later_turns(self, plan_id: int) -> ChatTurnCounts:
        """What of the plan's requests of late were turns of longer chats."""
        ...

    def sum_recent_savings(self, plan_ids: Collection[int]) -> dict[int, Decimal]:
        """US dollars that these plans saved in the last 30 days;
        those without a priced request are left out."""
        ...

    def count_key_uses(self, key_ids: Collection[int]) -> dict[int, KeyUsage]:
        """How much these virtual keys were used of late; those that were not are left out."""
        ...

    def find_backend_problem(self, backend: str) -> str | None:
        """Why this backend cannot serve now, checked live within about a second; None when it can.

        An unknown name is refused too, with the names that are known.
        """
        ...

    def find_verifier_problem(self) -> str | None:
        """Why answers cannot be verified now; None when they can."""
        ...


class _TenantCapabilities:
    """The running system as one tenant may use it:
    a plan of its own names no route that its keys cannot."""

    def __init__(self, system: Any, tenant: Tenant) -> None:
        self._system, self._tenant = system, tenant

    def list_routes(self) -> list[str]:
        return [
            name
            for name in self._system.list_routes()
            if is_route_granted(self._tenant.routes, name)
        ]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._system, name)


def get_tenant_capabilities(
    tenant: Tenant | None, system: Capabilities | None = None
) -> Capabilities:
    """What the running system can do for the tenant; None: for the platform."""
    system = system or get_capabilities()
    return system if tenant is None else cast(Capabilities, _TenantCapabilities(system, tenant))


def get_capabilities() -> Capabilities:
    """The implementation that settings.CAPABILITIES names by its dotted path."""
    return cast(Capabilities, import_string(settings.CAPABILITIES)())
