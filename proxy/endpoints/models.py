"""GET /v1/models: the routes that a key may use."""

from proxy.core.errors import ModelNotFound
from proxy.pipeline.call import Call
from proxy.pipeline.toolbox import Toolbox

MODELS_PATH = "/v1/models"


def list_models(call: Call, tools: Toolbox, name: str) -> dict[str, object]:
    """Return OpenAI's list of models, or the one of that name. Raises ModelNotFound."""
    assert call.key is not None  # noqa: S101 -- authenticate set it
    rows: list[dict[str, object]] = [
        {"id": route.name, "object": "model", "created": 0, "owned_by": route.upstream.name}
        for route in tools.config_source.config.list_routes(call.key)
    ]
    if not name:
        return {"object": "list", "data": rows}
    for row in rows:
        if row["id"] == name:
            return row
    raise ModelNotFound(
        f"The model {name!r} does not exist here. See GET {MODELS_PATH}.", param="model"
    )
