"""Write the configuration as a file that `manage.py apply` reads. Secrets become variables."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from django.db import models

from plans.api.serializers import PlanSerializer
from plans.import_export.resources import EXCLUDED_FIELDS
from plans.key_secrets import FOREIGN_KEY_PREFIX
from plans.models import ModelPrice, Plan, Tenant, VirtualKey
from proxy.config_files.columns import format_value, get_default
from proxy.config_files.fields import (
    KEY_FIELDS,
    PRICE_FIELDS,
    ROUTE_FIELDS,
    TENANT_FIELDS,
    UPSTREAM_FIELDS,
    FileField,
)
from proxy.core.upstream_headers import OPEN_NAMES
from proxy.models import Route, Upstream
from proxy.upstreams.secrets import read_present_secrets

HEADER = """\
# Read by `manage.py apply`. Secrets are not exported: set the variables named here.
"""


class AmbiguousName(Exception):
    """Two objects of one name, which a file cannot tell apart. The message is one sentence."""


class UnreadableSecret(Exception):
    """Names that a file needs are encrypted under an unknown key. The message is one sentence."""


_NOT_IN_PLANS = EXCLUDED_FIELDS | {"plan_name", "tenant", "version"}


def export_config() -> str:
    """Export everything but revoked keys and the published prices, as YAML.

    Raises AmbiguousName or UnreadableSecret.
    """
    sections = {
        "upstreams": {each.name: _export_upstream(each) for each in Upstream.objects.all()},
        "routes": {
            each.name: {"upstream": each.upstream.name} | _export_columns(each, ROUTE_FIELDS)
            for each in Route.objects.select_related("upstream")
        },
        "tenants": {each.slug: _export_tenant(each) for each in Tenant.objects.all()},
        "plans": _export_plans(Plan.objects.filter(tenant=None)),
        "prices": {
            str(each): _export_columns(each, PRICE_FIELDS)
            for each in ModelPrice.objects.filter(edited=True)
        },
    }
    return HEADER + yaml.safe_dump(sections, sort_keys=False, allow_unicode=True, width=100)


def _export_upstream(row: Upstream) -> dict[str, Any]:
    found = _export_columns(row, UPSTREAM_FIELDS)
    secrets, unreadable = read_present_secrets(row)
    if unreadable & {"headers", "query"}:
        raise UnreadableSecret(
            f"No key in TOKENTHRIFT_ENCRYPTION_KEYS opens the headers or parameters of {row.name}."
        )
    if row.encrypted_key:
        found["key"] = name_variable("UPSTREAM", row.name, "KEY")
    if row.encrypted_proxy_url:
        found["proxy"] = name_variable("UPSTREAM", row.name, "PROXY")
    for name, pairs in (("headers", secrets.headers), ("query", secrets.query)):
        if pairs:
            found[name] = {
                each: escape_variables(value)
                if each in OPEN_NAMES
                else name_variable("UPSTREAM", row.name, name, each)
                for each, value in pairs.items()
            }
    return found


def _export_tenant(row: Tenant) -> dict[str, Any]:
    # A former secret that still works is not the key's own any more.
    live = VirtualKey.objects.filter(tenant=row, revoked_at=None, successor=None)
    live = live.order_by("name", "pk")
    for name, count in Counter(key.name for key in live).items():
        if count > 1:
            raise AmbiguousName(f"{row.slug} has {count} live keys named {name}: rename or revoke.")
    keys = {
        key.name: _export_key_secret(row, key) | _export_columns(key, KEY_FIELDS) for key in live
    }
    return _export_columns(row, TENANT_FIELDS) | {
        "plans": _export_plans(Plan.objects.filter(tenant=row)),
        "keys": keys,
    }


def _export_key_secret(tenant: Tenant, key: VirtualKey) -> dict[str, Any]:
    if key.prefix.startswith(FOREIGN_KEY_PREFIX):
        return {"secret_sha256": name_variable("VIRTUAL_KEY", tenant.slug, key.name, "SHA256")}
    return {"secret": name_variable("VIRTUAL_KEY", tenant.slug, key.name)}


def _export_plans(rows: Iterable[Plan]) -> dict[str, Any]:
    return {
        row.name: {
            name: escape_variables(value)
            for name, value in PlanSerializer(row).data.items()
            if name not in _NOT_IN_PLANS
        }
        for row in rows
    }


def _export_columns(row: models.Model, fields: Mapping[str, FileField]) -> dict[str, Any]:
    """Return the plain columns that are required or have another value than their default."""
    found = {}
    for name, field in fields.items():
        if not field.column:
            continue
        value = getattr(row, field.column)
        if field.is_required or value != get_default(type(row), field):
            found[name] = escape_variables(format_value(value))
    if "default_plan" in fields and (plan := getattr(row, "default_plan", None)):
        found["default_plan"] = plan.name
    return found


def name_variable(*parts: str) -> str:
    """Return the reference to an environment variable that is named after an object."""
    name = "_".join(re.sub(r"[^A-Z0-9]+", "_", part.upper()).strip("_") for part in parts)
    return f"${{{name}}}"


def escape_variables(value: Any) -> Any:
    """Double the dollar of a text that would be taken for a variable."""
    if isinstance(value, dict):
        return {name: escape_variables(one) for name, one in value.items()}
    if isinstance(value, list):
        return [escape_variables(one) for one in value]
    return value.replace("${", "$${") if isinstance(value, str) else value
