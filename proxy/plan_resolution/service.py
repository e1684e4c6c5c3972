"""Say which plan applies to requests of a key for a model, and which level decides."""

from dataclasses import dataclass
from typing import Final

from plans import selectors
from plans.api_errors import ApiError
from plans.models import Tenant, VirtualKey
from plans.snapshot import KeySnapshot
from proxy.core.config import ConfigSnapshot
from proxy.core.plan_resolution import (
    PlanLevel,
    ResolvedPlan,
    iter_default_plans,
    resolve_plan,
)
from proxy.models import Route
from proxy.upstreams.selectors import find_served_model
from stats.events import MAX_PLAN_NAME_LENGTH

LEVEL_SENTENCES: Final[dict[PlanLevel, str]] = {
    "request": "The request names this plan.",
    "key": "The request names no plan: the default of its key applies.",
    "tenant": "Neither request nor key says a plan: the tenant's default applies.",
    "route": "Neither request, key nor tenant says a plan: the route's default applies.",
}
NO_PLAN_SENTENCES: Final = {
    "no-plan": "No level says a plan: nothing is saved.",
    "opted-out": "The request asks for no plan: nothing is saved.",
    "unknown-plan": (
        "Neither the tenant nor the platform has a plan of that name: nothing is saved. A wrong "
        "name does not fall back to a default."
    ),
}


class RouteNotFound(ApiError):
    status = 404
    code = "model_not_found"


@dataclass(frozen=True, slots=True)
class LevelAnswer:
    """What one level says.

    `says`: the name of a plan, as asked for or of the default; None: nothing.
    """

    level: PlanLevel
    says: str | None
    decides: bool


@dataclass(frozen=True, slots=True)
class PlanResolution:
    """The plan of a request, and what each level says of it."""

    key: KeySnapshot
    model: str
    resolved: ResolvedPlan
    levels: tuple[LevelAnswer, ...]

    @property
    def explanation(self) -> str:
        """One sentence on which level decides."""
        resolved = self.resolved
        if resolved.plan is None or resolved.level is None:
            return NO_PLAN_SENTENCES[resolved.reason]
        off = " It is off." if resolved.reason == "plan-off" else ""
        return LEVEL_SENTENCES[resolved.level] + off


def resolve_for_key(
    *, owner: Tenant | None, key: str, model: str, asked: str | None
) -> PlanResolution:
    """Resolve the plan of requests of this key, by id or name, for the model.

    `owner`: whose keys may be asked about; None: everybody's. `asked`: the plan that the request
    names. As the configuration is stored: workers follow within two seconds. Raises KeyNotFound,
    AmbiguousKey or RouteNotFound.
    """
    row = selectors.find_live_key(owner, key)
    route = _find_route(row, model)
    usable = selectors.list_usable_plans(row.tenant)
    directory = ConfigSnapshot(
        plans={(plan.tenant_id, plan.name): plan.build_snapshot() for plan in usable}
    )
    caller = selectors.build_key_snapshot(row)
    resolved = resolve_plan(directory, caller, asked=asked, route_plan_id=route.default_plan_id)
    said: list[tuple[PlanLevel, str | None]] = [
        ("request", None if asked is None else asked[:MAX_PLAN_NAME_LENGTH])
    ]
    said += [
        (level, plan.name if plan else None)
        for level, plan in iter_default_plans(directory, caller, route.default_plan_id)
    ]
    levels = tuple(LevelAnswer(level, says, level == resolved.level) for level, says in said)
    return PlanResolution(caller, model, resolved, levels)


def _find_route(key: VirtualKey, model: str) -> Route:
    found = find_served_model(key.tenant, model)
    if found is None or (key.routes and not {model, found[0].name} & {*key.routes}):
        raise RouteNotFound("There is no model of that name for this key.", param="model")
    return found[0]
