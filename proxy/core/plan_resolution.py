"""Resolve which plan applies to a request, and which level says so."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from plans.snapshot import KeySnapshot, PlanSnapshot, is_opt_out
from proxy.core.config import ConfigSnapshot

PlanReason = Literal["", "no-plan", "opted-out", "unknown-plan", "plan-off"]
# Who says which plan applies: the request itself, or the default of its key, tenant or route.
PlanLevel = Literal["request", "key", "tenant", "route"]


@dataclass(frozen=True, slots=True)
class ResolvedPlan:
    """The plan of a request, or why it has none.

    `reason`: why nothing is saved; "" under a plan that is not off. `level`: None if no level says
    anything.
    """

    plan: PlanSnapshot | None = None
    reason: PlanReason = "no-plan"
    level: PlanLevel | None = None


def resolve_plan(
    directory: ConfigSnapshot,
    key: KeySnapshot,
    *,
    asked: str | None,
    route_plan_id: int | None,
) -> ResolvedPlan:
    """Resolve the plan of a request that asked for the one named `asked`; None: it named none.

    An unknown name does not fall back to a default: a mistake that saves something would never be
    noticed.
    """
    if asked is not None:
        return _resolve_asked_plan(directory, key, asked)
    for level, plan in iter_default_plans(directory, key, route_plan_id):
        if plan is not None:
            return ResolvedPlan(plan, "plan-off" if plan.mode == "off" else "", level)
    return ResolvedPlan()


def iter_default_plans(
    directory: ConfigSnapshot, key: KeySnapshot, route_plan_id: int | None
) -> Iterator[tuple[PlanLevel, PlanSnapshot | None]]:
    """Yield the default plan of each level, the first one first; None where there is none."""
    yield "key", directory.find_default_plan(key, key.default_plan_id)
    yield "tenant", directory.find_default_plan(key, key.tenant_plan_id)
    yield "route", directory.find_default_plan(key, route_plan_id)


def _resolve_asked_plan(directory: ConfigSnapshot, key: KeySnapshot, asked: str) -> ResolvedPlan:
    if is_opt_out(asked):
        return ResolvedPlan(None, "opted-out", "request")
    plan = directory.find_plan(key, asked)
    if plan is None:
        return ResolvedPlan(None, "unknown-plan", "request")
    return ResolvedPlan(plan, "plan-off" if plan.mode == "off" else "", "request")
