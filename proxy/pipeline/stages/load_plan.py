"""Resolve the route behind the model's name, and the plan of the request."""

from proxy.core.config import Route
from proxy.core.errors import BadRequest, ModelForbidden, ModelNotFound
from proxy.core.plan_resolution import resolve_plan
from proxy.core.upstream_headers import HeaderPairs, check_header_value
from proxy.pipeline.call import Call, evolve
from proxy.pipeline.toolbox import Toolbox


async def load_plan(call: Call, tools: Toolbox) -> Call:
    """Set route and plan.

    Raises ModelNotFound, ModelForbidden, or BadRequest for a header that cannot be passed on. An
    unknown plan never fails a request: it is skipped, with `unknown-plan` as the reason.
    """
    directory, request, key = call.config, call.chat_request, call.key
    assert key is not None, "authenticate comes first"  # noqa: S101 -- the chain's order is fixed
    if not directory.can_use(key, request.model):
        raise ModelForbidden(
            f"This key may not use the model {request.model!r}. See GET /v1/models.", param="model"
        )
    route = directory.find_route(request.model)
    if route is None:
        raise ModelNotFound(
            f"The model {request.model!r} does not exist here. See GET /v1/models.", param="model"
        )
    forwarded = _select_forwarded(call, route)
    resolved = resolve_plan(
        directory, key, asked=call.asked_plan, route_plan_id=route.default_plan_id
    )
    return evolve(
        call,
        route=route,
        forwarded_headers=forwarded,
        plan=resolved.plan,
        reason=resolved.reason,
    )


def _select_forwarded(call: Call, route: Route) -> HeaderPairs:
    """Return the client's headers that this route's upstream is sent. Raises BadRequest."""
    names = route.upstream.forwarded_headers
    found = tuple(pair for pair in call.passable_headers if pair[0] in names)
    try:
        for name, value in found:
            check_header_value(name, value)
    except ValueError as error:
        raise BadRequest(str(error)) from None
    return found
