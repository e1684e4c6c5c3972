"""Resolve the route behind the model's name, and the plan of the request."""

from proxy.core.errors import ModelForbidden, ModelNotFound
from proxy.core.plan_resolution import resolve_plan
from proxy.pipeline.call import Call, evolve
from proxy.pipeline.toolbox import Toolbox


async def load_plan(call: Call, tools: Toolbox) -> Call:
    """Set route and plan.

    Raises ModelNotFound or ModelForbidden. An unknown plan never fails a request: it is skipped,
    with `unknown-plan` as the reason.
    """
    directory, request, key = call.config, call.chat_request, call.key
    assert key is not None, "authenticate comes first"  # noqa: S101 -- the chain's order is fixed
    if not directory.can_use(key, request.model):
        raise ModelForbidden(
            f"This key may not use the model {request.model!r}. See GET /v1/models.", param="model"
        )
    route = directory.routes.get(request.model)
    if route is None:
        raise ModelNotFound(
            f"The model {request.model!r} does not exist here. See GET /v1/models.", param="model"
        )
    resolved = resolve_plan(
        directory, key, asked=call.asked_plan, route_plan_id=route.default_plan_id
    )
    return evolve(call, route=route, plan=resolved.plan, reason=resolved.reason)
