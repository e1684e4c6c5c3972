"""Entries of LiteLLM's `model_list`: what each of them calls, with its credentials filled in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from proxy.config_files.reader import ValuePath
from proxy.config_import.config_draft import is_model_name, is_route_name
from proxy.config_import.foreign_config import ForeignConfig
from proxy.config_import.foreign_providers import ForeignProvider, find_provider
from proxy.config_import.litellm_reasons import CLOUD_CREDENTIALS
from proxy.config_import.report import EXACT, MANUAL, UNSUPPORTED, format_name
from proxy.config_import.rules import Ruling
from proxy.models import ROUTE_NAME

MODEL_LIST: Final = ("model_list",)
CREDENTIAL_LIST: Final = ("credential_list",)
CREDENTIAL_NAME: Final = "litellm_credential_name"
ANY_MODEL: Final = "*"
# Of Azure's directory, in place of a key.
DIRECTORY_PARAMS: Final = frozenset({"azure_ad_token", "client_secret", "azure_username"})
CHAT_MODES: Final = ("chat", "")
# What LiteLLM takes for a model of OpenAI's or Anthropic's where no provider stands before it.
_PROVIDER_BY_BEGINNING: Final = {
    "gpt-": "openai",
    "chatgpt-": "openai",
    "o1": "openai",
    "o3": "openai",
    "o4": "openai",
    "claude-": "anthropic",
}


@dataclass(frozen=True, slots=True)
class Deployment:
    """A model that LiteLLM calls under a name; `model` is "" for any that the client names.

    `params` are those of `litellm_params` and of the named credentials; `places`: where each
    stands.
    """

    path: ValuePath
    name: str
    params: Mapping[str, Any]
    places: Mapping[str, ValuePath]
    provider: ForeignProvider
    model: str

    def find(self, name: str) -> ValuePath:
        return self.places.get(name, (*self.path, "litellm_params", name))


def read_deployment(config: ForeignConfig, path: ValuePath) -> Deployment | Ruling:
    """Read an entry, or say why it becomes no route."""
    name = config.get((*path, "model_name"))
    params, places = _collect_params(config, path)
    given = params.get("model")
    if not isinstance(name, str) or not isinstance(given, str) or not name or not given:
        return Ruling(MANUAL, "model_name and litellm_params.model must be text.")
    mode = config.get((*path, "model_info", "mode"))
    if mode is not None and mode not in CHAT_MODES:
        text = f"Only chat completions are served, and this is for {format_name(str(mode))}."
        return Ruling(UNSUPPORTED, text)
    if "api_key" not in params and DIRECTORY_PARAMS & params.keys():
        return CLOUD_CREDENTIALS
    provider_name, model = split_model(given, params.get("custom_llm_provider"))
    provider = find_provider("litellm", provider_name)
    if isinstance(provider, Ruling):
        return provider
    target = _translate_model(name, model)
    if isinstance(target, Ruling):
        return target
    return Deployment(path, name, params, places, provider, target)


def _translate_model(name: str, model: str) -> str | Ruling:
    """Return the model of a route of that name, or why there can be none; "": any model."""
    if not is_model_name(model):
        return Ruling(MANUAL, "No route can lead to a model of this name: 1 to 200 letters.")
    if ANY_MODEL not in name and ANY_MODEL not in model:
        if is_route_name(name):
            return model
        return Ruling(MANUAL, f"No route can have this name. {ROUTE_NAME.message}")
    if name.endswith(ANY_MODEL) and name.count(ANY_MODEL) == 1 and model == ANY_MODEL:
        can_be_route = is_route_name(name.removesuffix(ANY_MODEL))
        return ANY_MODEL if can_be_route else ""
    return Ruling(MANUAL, "Its pattern stands for names that no list tells: add routes by hand.")


def split_model(text: str, provider: Any = None) -> tuple[str, str]:
    """Return provider and model of `provider/model`; "" for a provider that is not told."""
    if isinstance(provider, str) and provider:
        return provider, text.removeprefix(f"{provider}/")
    head, slash, model = text.partition("/")
    if slash:
        return head, model
    for beginning, found in _PROVIDER_BY_BEGINNING.items():
        if text.startswith(beginning):
            return found, text
    return "", text


def _collect_params(
    config: ForeignConfig, path: ValuePath
) -> tuple[dict[str, Any], dict[str, ValuePath]]:
    own = (*path, "litellm_params")
    found = dict(config.get_mapping(own))
    places: dict[str, ValuePath] = {}
    if CREDENTIAL_NAME not in found:
        return found, places
    for number, each in enumerate(config.get_list(CREDENTIAL_LIST)):
        if isinstance(each, dict) and each.get("credential_name") == found[CREDENTIAL_NAME]:
            values = (*CREDENTIAL_LIST, str(number), "credential_values")
            config.judge((*own, CREDENTIAL_NAME), EXACT, "The values of credential_list are used.")
            for name, value in config.get_mapping(values).items():
                if name not in found:
                    found[name], places[name] = value, (*values, name)
            return found, places
    text = "No such entry of credential_list: give the upstream its address and key."
    config.judge((*own, CREDENTIAL_NAME), MANUAL, text)
    return found, places
