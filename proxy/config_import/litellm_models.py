"""Make upstreams, routes and prices of LiteLLM's `model_list`, and routes of its aliases."""

import shlex
from collections.abc import Mapping
from typing import Any, Final

from proxy.config_files.reader import ValuePath
from proxy.config_import.config_draft import (
    ConfigDraft,
    is_route_name,
    read_variable_name,
    translate_text,
)
from proxy.config_import.foreign_config import ForeignConfig, iter_leaves
from proxy.config_import.foreign_prices import read_price
from proxy.config_import.litellm_deployments import (
    ANY_MODEL,
    MODEL_LIST,
    Deployment,
    read_deployment,
)
from proxy.config_import.report import EXACT, MANUAL, format_name
from proxy.config_import.rules import Ruling
from proxy.config_import.upstream_features import write_feature
from proxy.config_import.upstream_fields import (
    Address,
    UpstreamKey,
    read_address,
    read_key,
    read_timeout,
)
from proxy.models import ROUTE_NAME

# Where a timeout for all deployments may stand; the first one counts.
TIMEOUT_PATHS: Final = (("router_settings", "timeout"), ("litellm_settings", "request_timeout"))
ALIAS_PATHS: Final = (
    ("router_settings", "model_group_alias"),
    ("litellm_settings", "model_group_alias"),
)
NO_WILDCARD_NAME: Final = (
    "No route can have this name: make one for each model that the upstream lists, by manage.py "
    "check_upstream {upstream} --add-routes {prefix}."
)
ORGANIZATION_HEADER: Final = "OpenAI-Organization"
# Of `litellm_params`: the feature that each is (`proxy.config_import.upstream_features`).
FEATURE_PARAMS: Final = {
    "extra_headers": "extra_headers",
    "headers": "extra_headers",
    "organization": "organization",
    "ssl_verify": "ca_file",
}


class ModelImporter:
    """Writes each entry that can be one as a route, and says what became of the others."""

    def __init__(self, config: ForeignConfig, draft: ConfigDraft) -> None:
        self._config, self._draft = config, draft
        # The entry that became the route of that name.
        self._entries: dict[str, ValuePath] = {}
        self._default_timeout = self._read_default_timeout()

    def import_models(self) -> None:
        """Import the whole list, then the aliases."""
        for number in range(len(self._config.get_list(MODEL_LIST))):
            path = (*MODEL_LIST, str(number))
            found = read_deployment(self._config, path)
            if isinstance(found, Ruling):
                self._judge(path, found)
            else:
                self._import_deployment(found)
        for path in ALIAS_PATHS:
            for alias, target in self._config.get_mapping(path).items():
                self._import_alias((*path, alias), alias, target)

    def _judge(self, path: ValuePath, ruling: Ruling) -> None:
        self._config.judge(path, ruling.verdict, ruling.reason)

    def _import_deployment(self, found: Deployment) -> None:
        address = read_address(
            found.params.get("api_base", found.params.get("base_url")), found.provider
        )
        if isinstance(address, Ruling):
            self._judge(found.path, address)
            return
        is_own = found.provider.base_url in {"", address.base_url}
        key = read_key(found.params.get("api_key"), found.provider, is_own_address=is_own)
        fields, rulings = self._build_upstream(found, address, key)
        if not found.model:
            self._import_any_model(found, fields, address, key)
            return
        if found.name in self._draft.routes:
            if not self._is_same_target(found, fields, key):
                self._refuse_second(found)
                return
        else:
            self._add_route(found, fields, address, key)
        rulings |= {
            (*found.path, "model_name"): Ruling(EXACT, f"Route {found.name}."),
            found.find("model"): self._describe_target(found),
        }
        for path, ruling in rulings.items():
            # What was taken whole is exact in each of its values.
            for leaf in iter_leaves(self._config.get(path), path):
                self._judge(leaf, ruling)
        self._import_price(found)

    def _build_upstream(
        self, found: Deployment, address: Address, key: UpstreamKey
    ) -> tuple[dict[str, Any], dict[ValuePath, Ruling]]:
        """Build the fields of an upstream, and the verdict on what each was made of."""
        fields: dict[str, Any] = {
            "base_url": address.base_url,
            "provider": found.provider.price_id,
        }
        rulings = {found.find("api_key"): key.ruling}
        address_name = "api_base" if "api_base" in found.params else "base_url"
        rulings[found.find(address_name)] = address.ruling
        if key.reference:
            fields["key"] = key.reference
        if address.is_private:
            fields["allow_private"] = True
        rulings |= self._write_timeout(found, fields)
        for name, feature in FEATURE_PARAMS.items():
            if name in found.params:
                value = found.params[name]
                headers = {ORGANIZATION_HEADER: value} if name == "organization" else value
                # Each organization of a list is a deployment of its own there.
                rulings[found.find(name)] = write_feature(fields, feature, headers)
        if "api_version" in found.params:
            version = found.params["api_version"]
            rulings[found.find("api_version")] = write_feature(fields, "api_version", version)
        return fields, rulings

    def _write_timeout(self, found: Deployment, fields: dict[str, Any]) -> dict[ValuePath, Ruling]:
        rulings: dict[ValuePath, Ruling] = {}
        seconds = self._default_timeout
        if found.params.get("timeout") is not None:
            seconds = read_timeout(found.params["timeout"])
            rulings[found.find("timeout")] = describe_timeout(seconds)
        if seconds is not None:
            fields["read_timeout"] = seconds
        if (given := found.params.get("stream_timeout")) is not None:
            same = read_timeout(given) == seconds is not None
            rulings[found.find("stream_timeout")] = (
                Ruling(EXACT, "As of answers that are not streamed.")
                if same
                else Ruling(MANUAL, "An upstream has one read timeout, for streams too.")
            )
        return rulings

    def _import_any_model(
        self, found: Deployment, fields: dict[str, Any], address: Address, key: UpstreamKey
    ) -> None:
        """Add the upstream alone: no route can have that name."""
        upstream = self._draft.add_upstream(address.name, fields, literal_key=key.is_literal)
        # Whoever reads it copies it into a shell.
        prefix = shlex.quote(format_name(found.name.removesuffix(ANY_MODEL)))
        text = NO_WILDCARD_NAME.format(upstream=shlex.quote(upstream), prefix=prefix)
        self._config.judge(found.path, MANUAL, text)

    def _add_route(
        self, found: Deployment, fields: dict[str, Any], address: Address, key: UpstreamKey
    ) -> None:
        upstream = self._draft.add_upstream(address.name, fields, literal_key=key.is_literal)
        model = translate_text(found.model)
        self._draft.routes[found.name] = {"upstream": upstream, "model": model}
        self._entries[found.name] = found.path

    def _is_same_target(
        self, found: Deployment, fields: Mapping[str, Any], key: UpstreamKey
    ) -> bool:
        route = self._draft.routes[found.name]
        return (
            not key.is_literal
            and self._draft.upstreams[route["upstream"]] == fields
            and route["model"] == translate_text(found.model)
        )

    def _refuse_second(self, found: Deployment) -> None:
        first = ".".join(self._entries[found.name])
        text = (
            f"Route {found.name} leads to {first}, and a route has one upstream: requests are "
            "not spread. Put a balancer before both, or give this one a name of its own."
        )
        self._config.judge(found.path, MANUAL, text)

    def _describe_target(self, found: Deployment) -> Ruling:
        route = self._draft.routes[found.name]
        text = f"Model {format_name(found.model)} of upstream {route['upstream']}."
        if found.provider.caveat:
            return Ruling(MANUAL, f"{text} {found.provider.caveat}")
        return Ruling(EXACT, text)

    def _import_price(self, found: Deployment) -> None:
        costs: dict[ValuePath, Any] = {}
        for part in ("model_info", "litellm_params"):
            path = (*found.path, part)
            costs |= {
                (*path, name): value
                for name, value in self._config.get_mapping(path).items()
                if "cost" in name and value is not None
            }
        price = read_price(costs)
        name = f"{found.provider.price_id}/{found.model}"
        is_taken = self._draft.prices.setdefault(name, price.fields) != price.fields
        if not price.fields and not is_taken:
            del self._draft.prices[name]
        text = f"{format_name(name)} has another price already: prices are of a provider's model."
        for path, ruling in price.rulings.items():
            is_lost = is_taken and ruling.verdict == EXACT
            self._judge(path, Ruling(MANUAL, text) if is_lost else ruling)

    def _read_default_timeout(self) -> float | None:
        """Return the timeout of deployments that have none; the first path that is there wins."""
        found: float | None = None
        is_told = False
        for path in TIMEOUT_PATHS:
            given = self._config.get(path)
            if given is None:
                continue
            if is_told:
                text = "Without effect there, too: router_settings.timeout wins."
                self._config.judge(path, EXACT, text)
                continue
            found, is_told = read_timeout(given), True
            self._judge(path, describe_timeout(found))
        return found

    def _import_alias(self, path: ValuePath, alias: str, given: Any) -> None:
        hidden = given.get("hidden") if isinstance(given, dict) else None
        target = given.get("model") if isinstance(given, dict) else given
        place = (*path, "model") if isinstance(given, dict) else path
        route = self._draft.routes.get(target) if isinstance(target, str) else None
        if route is None or read_variable_name(target):
            self._config.judge(path, MANUAL, "It stands for a model that became no route.")
        elif alias in self._draft.routes:
            text = "A route has that name already: decide which of both it should be."
            self._config.judge(path, MANUAL, text)
        elif not is_route_name(alias):
            text = f"No route can have this name. {ROUTE_NAME.message}"
            self._config.judge(path, MANUAL, text)
        else:
            self._draft.routes[alias] = dict(route)
            self._config.judge(place, EXACT, f"Route {alias}, to the same model.")
            if hidden is not None:
                text = "GET /v1/models lists every route that a key may use."
                self._config.judge((*path, "hidden"), MANUAL if hidden else EXACT, text)


def describe_timeout(seconds: float | None) -> Ruling:
    """Return the verdict on a timeout that was read; None: it cannot be an upstream's."""
    if seconds is None:
        return Ruling(MANUAL, "A read timeout is 1 to 3600 seconds: set it on the upstream.")
    return Ruling(EXACT, "read_timeout of the upstream: seconds without a byte.")
