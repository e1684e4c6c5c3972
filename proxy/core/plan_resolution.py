"""Resolve which plan applies to a request."""

from dataclasses import dataclass
from typing import Literal

from plans.snapshot import KeySnapshot, PlanSnapshot, is_opt_out
from proxy.core.config import ConfigSnapshot

PlanReason = Literal["", "no-plan", "opted-out", "unknown-plan", "plan-off"]


@dataclass(frozen=True, slots=True)
class ResolvedPlan:
    """The plan of a request, or why it has none."""

    plan: PlanSnapshot | None = None
    # Why nothing is saved; "" under a plan that is not off.
    reason: PlanReason = "no-plan"


def resolve_plan(directory: ConfigSnapshot, key: KeySnapshot, asked: str | None) -> ResolvedPlan:
    """Resolve the plan of a request that asked for the one named `asked`; None: it named none."""
    if asked is None:
        return ResolvedPlan()
    if is_opt_out(asked):
        return ResolvedPlan(reason="opted-out")
    plan = directory.find_plan(key, asked)
    if plan is None:
        return ResolvedPlan(reason="unknown-plan")
    return ResolvedPlan(plan, "plan-off" if plan.mode == "off" else "")
