"""Import a config of Portkey's gateway (portkey.ai/docs, "Gateway Configs")."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from proxy.config_files.reader import ValuePath
from proxy.config_import.cache_plans import SEMANTIC_REASON, build_cache_plan, read_ttl
from proxy.config_import.config_draft import (
    ConfigDraft,
    FreeNames,
    is_model_name,
    is_route_name,
    translate_text,
)
from proxy.config_import.foreign_config import (
    ForeignConfig,
    iter_leaves,
    read_foreign_config,
    read_number,
)
from proxy.config_import.foreign_providers import ForeignProvider, find_provider
from proxy.config_import.portkey_rules import (
    CONDITION_RULING,
    FEATURE_SETTINGS,
    SETTING_RULINGS,
    VAULT_NAMES,
    VAULT_RULING,
)
from proxy.config_import.portkey_targets import Target, find_address, find_model
from proxy.config_import.report import EXACT, MANUAL, UNSUPPORTED, Finding, format_name
from proxy.config_import.rules import RuleTable, Ruling
from proxy.config_import.upstream_features import write_feature
from proxy.config_import.upstream_fields import (
    Address,
    UpstreamKey,
    read_address,
    read_key,
    read_timeout,
)

PLAN_NAME: Final = "portkey-cache"
DEFAULT_TTL_SECONDS: Final = 86_400  # of the open-source gateway
CONFIG_MODES: Final = ("single", "fallback", "loadbalance", "conditional")


class PortkeyImporter:
    """Writes each target that requests can reach as an upstream and a route."""

    def __init__(self, config: ForeignConfig, draft: ConfigDraft) -> None:
        self._config, self._draft = config, draft
        self._plans: dict[tuple[bool, int], str] = {}
        self._plan_names = FreeNames()

    def import_config(self) -> None:
        """Import the whole config."""
        self._import_target(Target((), "", {}))

    def _judge(self, path: ValuePath, ruling: Ruling) -> None:
        self._config.judge(path, ruling.verdict, ruling.reason)

    def _import_target(self, above: Target) -> None:
        here = self._config.get(above.path)
        if not isinstance(here, dict):
            self._config.judge(above.path, MANUAL, "A target must be a mapping.")
            return
        own = {
            name: ((*above.path, name), value)
            for name, value in here.items()
            if name not in {"strategy", "targets"}
        }
        for name, (path, _) in own.items():
            if name in SETTING_RULINGS:
                self._judge(path, SETTING_RULINGS[name])
        target = replace(above, settings={**above.settings, **own})
        if isinstance(here.get("targets"), list) and here["targets"]:
            self._choose_targets(target, here)
        else:
            self._import_leaf(target)

    def _choose_targets(self, target: Target, here: dict[str, Any]) -> None:
        strategy = (*target.path, "strategy")
        mode = self._config.get((*strategy, "mode")) or "single"
        paths = [(*target.path, "targets", str(number)) for number in range(len(here["targets"]))]
        if mode not in CONFIG_MODES:
            self._config.judge(strategy, MANUAL, "Not known to this importer: the first target.")
        if mode == "conditional":
            self._import_conditional(target, strategy, paths)
            return
        chosen = self._find_heaviest(paths) if mode == "loadbalance" else paths[0]
        if mode in CONFIG_MODES:
            self._describe_strategy(strategy, str(mode), is_choice=len(paths) > 1)
        for path in paths:
            if path != chosen:
                text = (
                    f"Requests go to {'.'.join(chosen)}: a route has one upstream. Put a "
                    "balancer before both, or give this one a name of its own."
                )
                self._config.judge(path, MANUAL, text)
        self._import_target(replace(target, path=chosen))

    def _describe_strategy(self, strategy: ValuePath, mode: str, *, is_choice: bool) -> None:
        if mode == "single" or not is_choice:
            self._config.judge((*strategy, "mode"), EXACT, "There is one target.")
            return
        text = {
            "fallback": "A failed call is not sent to another target: the client gets the error.",
            "loadbalance": "Requests are not spread: the heaviest target gets them all.",
        }[mode]
        self._config.judge(strategy, UNSUPPORTED, text)

    def _find_heaviest(self, paths: list[ValuePath]) -> ValuePath:
        def weigh(path: ValuePath) -> float:
            weight = read_number(self._config.get((*path, "weight")))
            return 1.0 if weight is None else weight

        return max(paths, key=weigh)

    def _import_conditional(
        self, target: Target, strategy: ValuePath, paths: list[ValuePath]
    ) -> None:
        self._judge(strategy, CONDITION_RULING)
        for path in paths:
            name = self._config.get((*path, "name"))
            if isinstance(name, str) and is_route_name(name):
                self._import_target(replace(target, path=path, route=name))
            else:
                text = "It needs a name that a route can have, for clients to ask for it."
                self._config.judge(path, MANUAL, text)

    def _import_leaf(self, target: Target) -> None:
        name = target.get("provider")
        plan = self._write_plan(target)
        if any(each in target.settings for each in VAULT_NAMES) or str(name).startswith("@"):
            self._judge_whole(target, VAULT_RULING)
            return
        if not isinstance(name, str):
            self._judge_whole(
                target, Ruling(MANUAL, "It names no provider: add upstream and route.")
            )
            return
        provider = find_provider("portkey", name)
        if isinstance(provider, Ruling):
            self._judge_whole(target, provider)
            return
        address = read_address(find_address(target, provider), provider)
        if isinstance(address, Ruling):
            self._judge_whole(target, address)
            return
        key = read_key(target.get("api_key"), provider, is_own_address=False)
        self._write_leaf(target, provider, address, key, plan)

    def _judge_whole(self, target: Target, ruling: Ruling) -> None:
        """Judge the target's own values; those it inherits are judged where they stand."""
        for name, (path, _) in target.settings.items():
            is_own = path[: len(target.path)] == target.path
            if is_own and name != "cache" and name not in SETTING_RULINGS:
                self._judge(path, ruling)

    def _write_leaf(
        self,
        target: Target,
        provider: ForeignProvider,
        address: Address,
        key: UpstreamKey,
        plan: str,
    ) -> None:
        fields: dict[str, Any] = {
            "base_url": address.base_url,
            "provider": provider.price_id,
        }
        if key.reference:
            fields["key"] = key.reference
        if address.is_private:
            fields["allow_private"] = True
        self._write_timeout(target, fields)
        self._write_feature(target, fields)
        upstream = self._draft.add_upstream(address.name, fields, literal_key=key.is_literal)
        for name, ruling in (
            ("api_key", key.ruling),
            ("custom_host", address.ruling),
            ("resource_name", address.ruling),
        ):
            self._judge_setting(target, name, ruling)
        text = f"Upstream {upstream}."
        ruling = (
            Ruling(MANUAL, f"{text} {provider.caveat}") if provider.caveat else Ruling(EXACT, text)
        )
        self._judge_setting(target, "provider", ruling)
        self._write_route(target, upstream, plan)

    def _write_feature(self, target: Target, fields: dict[str, Any]) -> None:
        for name, (feature, header) in FEATURE_SETTINGS.items():
            if name in target.settings:
                path, value = target.settings[name]
                ruling = write_feature(fields, feature, {header: value} if header else value)
                for leaf in iter_leaves(value, path):
                    self._judge(leaf, ruling)

    def _write_timeout(self, target: Target, fields: dict[str, Any]) -> None:
        milliseconds = read_number(target.get("request_timeout"))
        if target.get("request_timeout") is None:
            return
        seconds = None if milliseconds is None else read_timeout(milliseconds / 1000)
        if seconds is None:
            text = "A read timeout is 1 to 3600 seconds: set it on the upstream."
            self._judge_setting(target, "request_timeout", Ruling(MANUAL, text))
            return
        fields["read_timeout"] = seconds
        text = "read_timeout of the upstream: seconds without a byte."
        self._judge_setting(target, "request_timeout", Ruling(EXACT, text))

    def _write_route(self, target: Target, upstream: str, plan: str) -> None:
        model, place = find_model(target)
        if not isinstance(model, str) or not model:
            text = (
                f"Clients name the model: make a route for each, by manage.py check_upstream "
                f"{shlex.quote(upstream)} --add-routes ''."
            )
            self._judge_setting(target, "provider", Ruling(MANUAL, f"Upstream {upstream}. {text}"))
            return
        name = target.route or model
        is_possible = is_route_name(name) and is_model_name(model)
        if not is_possible or name in self._draft.routes:
            text = (
                f"Upstream {upstream} is there; no route can have the name, or one has it already."
            )
            self._config.judge(place, MANUAL, text)
            return
        route: dict[str, Any] = {"upstream": upstream, "model": translate_text(model)}
        self._draft.routes[name] = route
        text = "clients send that as the model, which the config set for them."
        self._config.judge(place, MANUAL, f"Route {format_name(name)}: {text}")
        if plan:
            route["default_plan"] = plan

    def _write_plan(self, target: Target) -> str:
        """Write the plan of the cache that holds for a target; return its name, "" for none."""
        if "cache" not in target.settings:
            return ""
        path, cache = target.settings["cache"]
        mode = cache.get("mode") if isinstance(cache, dict) else cache
        place = (*path, "mode") if isinstance(cache, dict) else path
        if mode not in ("simple", "semantic"):
            self._config.judge(place, MANUAL, "Must be simple or semantic: no plan.")
            return ""
        ttl = self._read_max_age(path, cache)
        chosen = (mode == "semantic", ttl)
        if chosen not in self._plans:
            name = self._plan_names.take(PLAN_NAME)
            self._plans[chosen] = name
            self._draft.plans[name] = build_cache_plan(is_semantic=chosen[0], ttl_seconds=ttl)
        name = self._plans[chosen]
        text = f"Plan {name}, the default of the routes made here; tenants never share an answer."
        self._config.judge(place, MANUAL, f"{text} {SEMANTIC_REASON if chosen[0] else ''}".strip())
        return name

    def _read_max_age(self, path: ValuePath, cache: Any) -> int:
        given = cache.get("max_age") if isinstance(cache, dict) else None
        if given is None:
            return DEFAULT_TTL_SECONDS
        seconds = read_ttl(given)
        text = (
            "Taken for seconds, as in Portkey's service; its open-source gateway counts "
            "milliseconds. Check the plan's ttl."
        )
        if seconds is None:
            text = "A plan's ttl is a whole number of seconds, from 1 on: it is a day."
        self._config.judge((*path, "max_age"), MANUAL, text)
        return DEFAULT_TTL_SECONDS if seconds is None else seconds

    def _judge_setting(self, target: Target, name: str, ruling: Ruling) -> None:
        if name in target.settings:
            self._judge(target.settings[name][0], ruling)


def import_portkey(file: Path) -> tuple[ConfigDraft, list[Finding]]:
    """Return the configuration to write, and the verdict on each value. Raises BadConfigFile."""
    config = read_foreign_config(file, RuleTable({}))
    draft = ConfigDraft()
    PortkeyImporter(config, draft).import_config()
    return draft, config.build_findings()
