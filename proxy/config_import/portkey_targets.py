"""A target of Portkey's configs, with what it inherits; its address and its model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from proxy.config_files.reader import ValuePath
from proxy.config_import.foreign_providers import ForeignProvider


@dataclass(frozen=True, slots=True)
class Target:
    """A place in the config, with what it inherits from those above it.

    `route`: the name that clients send, "" for that of the model; `settings`: by name, with the
    path of each.
    """

    path: ValuePath
    route: str
    settings: Mapping[str, tuple[ValuePath, Any]]

    def get(self, name: str) -> Any:
        return self.settings[name][1] if name in self.settings else None


def find_address(target: Target, provider: ForeignProvider) -> Any:
    """Return the address in the config; of Azure's, the one that its resource has."""
    resource = target.get("resource_name")
    if (
        provider.price_id == "azure"
        and isinstance(resource, str)
        and target.get("custom_host") is None
    ):
        return f"https://{resource}.openai.azure.com"
    return target.get("custom_host")


def find_model(target: Target) -> tuple[Any, ValuePath]:
    """Return the model that the config sets, and where."""
    path, params = target.settings.get("override_params", ((), None))
    if isinstance(params, dict) and "model" in params:
        return params["model"], (*path, "model")
    path, deployment = target.settings.get("deployment_id", ((), None))
    return deployment, path
