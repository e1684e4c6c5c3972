"""GET /v1/models: the routes that a key may use."""

from proxy.core.config import Route
from proxy.core.errors import ModelNotFound
from proxy.pipeline.call import Call
from proxy.pipeline.toolbox import Toolbox

MODELS_PATH = "/v1/models"


def list_models(call: Call, tools: Toolbox, name: str) -> dict[str, object]:
    """Return OpenAI's list of models, or the one of that name. Raises ModelNotFound."""
    assert call.key is not None  # noqa: S101 -- authenticate set it
    config = tools.config_source.config
    if not name:
        rows = [_build_row(model, route) for model, route in config.list_models(call.key)]
        return {"object": "list", "data": rows}
    route = config.find_route(name)
    if route is not None and config.can_use(call.key, name):
        return _build_row(name, route)
    raise ModelNotFound(
        f"The model {name!r} does not exist here. See GET {MODELS_PATH}.", param="model"
    )


def _build_row(name: str, route: Route) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": route.upstream.name}
