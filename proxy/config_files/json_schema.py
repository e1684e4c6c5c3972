"""The JSON Schema of configuration files, for editors (draft 2020-12)."""

from collections.abc import Mapping
from typing import Any, Final

from plans.fields import PlanHalf, PlanSetting, list_settings
from plans.presets import PRESETS
from plans.validation import PLAN_NAME_PATTERN
from proxy.config_files.fields import (
    KEY_FIELDS,
    KEY_SECRET_FIELDS,
    PRICE_FIELDS,
    ROUTE_FIELDS,
    TENANT_FIELDS,
    UPSTREAM_FIELDS,
    FileField,
)

Schema = dict[str, Any]

TYPES: Final = {
    "whole": "integer",
    "number": "number",
    "flag": "boolean",
    "choice": "string",
    "name": "string",
}
NULL: Final = {"type": "null"}


def build_config_schema() -> Schema:
    """Build the schema of a file with any of the sections."""
    plans = _build_mapping(_build_plan_schema())
    tenant = _build_object(TENANT_FIELDS)
    tenant["properties"] |= {"plans": plans, "keys": _build_mapping(_build_key_schema())}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of Tokenthrift, for manage.py apply",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "upstreams": _build_mapping(_build_object(UPSTREAM_FIELDS)),
            "routes": _build_mapping(_build_object(ROUTE_FIELDS)),
            "tenants": _build_mapping({"anyOf": [tenant, NULL]}),
            "plans": plans,
            "prices": _build_mapping(_build_object(PRICE_FIELDS)),
        },
    }


def _build_mapping(one: Schema) -> Schema:
    return {"type": ["object", "null"], "additionalProperties": one}


def _build_object(fields: Mapping[str, FileField]) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name, field in fields.items() if field.is_required],
        "properties": {
            name: {**field.schema, "description": field.help} for name, field in fields.items()
        },
    }


def _build_key_schema() -> Schema:
    one = [{"required": [name]} for name in KEY_SECRET_FIELDS]
    return _build_object(KEY_FIELDS) | {"oneOf": one}


def _build_plan_schema() -> Schema:
    own = {each.name: _build_setting(each) for each in list_settings("")}
    halves = {half: {"anyOf": [_build_half(half), NULL]} for half in ("compression", "cache")}
    named: Schema = {
        "plan_name": {"type": "string", "pattern": f"^{PLAN_NAME_PATTERN.pattern}$"},
        "preset": {"type": "string", "enum": list(PRESETS)},
    }
    plan = {
        "type": "object",
        "additionalProperties": False,
        "properties": named | own | halves,
    }
    return {"anyOf": [plan, NULL]}


def _build_half(half: PlanHalf) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {each.name: _build_setting(each) for each in list_settings(half)},
    }


def _build_setting(setting: PlanSetting) -> Schema:
    kind = TYPES[setting.kind]
    found: Schema = {"type": [kind, "null"] if setting.nullable else kind}
    if setting.choices:
        found["enum"] = [*setting.choices, *([None] if setting.nullable else [])]
    if setting.kind in {"whole", "number"}:
        found |= {"minimum": setting.low, "maximum": setting.high}
    if setting.description or setting.help:
        found["description"] = setting.description or setting.help
    return found
