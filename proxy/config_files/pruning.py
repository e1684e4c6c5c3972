"""Delete what a configuration file does not name, in the sections that it has."""

from collections.abc import Collection, Iterable
from typing import Any, Final

from plans import capabilities, services
from plans.api_errors import ObjectInUse
from plans.deletion import delete_row
from plans.models import ModelPrice, Plan, Tenant, VirtualKey
from proxy.config_files.object_writer import ObjectWriter
from proxy.config_files.reader import BadConfigFile
from proxy.models import Route, Upstream

MAX_KEYS_LISTED: Final = 10


class KeysInUse(Exception):
    """Keys that would be revoked were used within a day. The message names them."""


def prune_objects(writer: ObjectWriter, *, revokes_used_keys: bool = False) -> None:
    """Delete plans, tenants, routes and upstreams, revoke keys, and let prices be the published.

    Only in sections that the document has. Raises KeysInUse, and BadConfigFile for an upstream or
    a plan that is still used.
    """
    values = writer.document.values
    keys = _find_keys(writer)
    if not revokes_used_keys:
        _refuse_used_keys(keys)
    for key in keys:
        services.revoke_key(key=key)
        writer.note_change("revoke", "key", f"{key.tenant.slug}/{key.name}")
    _delete(writer, "plan", _find_plans(writer))
    if "tenants" in values:
        _delete(writer, "tenant", Tenant.objects.exclude(slug__in=_names(values["tenants"])))
    if "routes" in values:
        _delete(writer, "route", Route.objects.exclude(name__in=_names(values["routes"])))
    if "upstreams" in values:
        _delete(writer, "upstream", Upstream.objects.exclude(name__in=_names(values["upstreams"])))
    if "prices" in values:
        _publish_prices(writer, _names(values["prices"]))


def _names(section: Any) -> list[str]:
    return list(section or ())


def _find_keys(writer: ObjectWriter) -> list[VirtualKey]:
    """Find live keys that no file names, also those of tenants that go."""
    tenants = writer.document.values.get("tenants")
    if tenants is None:
        return []
    live = VirtualKey.objects.filter(revoked_at=None).select_related("tenant").order_by("pk")
    found = []
    for key in live:
        said = tenants.get(key.tenant.slug, {"keys": {}}) or {}
        if "keys" in said and key.name not in _names(said["keys"]):
            found.append(key)
    return found


def _find_plans(writer: ObjectWriter) -> list[Plan]:
    """Find plans that no file names; those of tenants that go are deleted with them."""
    values = writer.document.values
    found = []
    for plan in Plan.objects.select_related("tenant").order_by("pk"):
        said = (
            values if plan.tenant is None else (values.get("tenants") or {}).get(plan.tenant.slug)
        )
        if said and "plans" in said and plan.name not in _names(said["plans"]):
            found.append(plan)
    return found


def _refuse_used_keys(keys: Collection[VirtualKey]) -> None:
    uses = capabilities.get_capabilities().count_key_uses([key.pk for key in keys])
    used = [
        f"{key.tenant.slug}/{key.name}"
        for key in keys
        if uses.get(key.pk) and uses[key.pk].requests
    ]
    if used:
        more = f" and {len(used) - MAX_KEYS_LISTED} more" if len(used) > MAX_KEYS_LISTED else ""
        raise KeysInUse(", ".join(used[:MAX_KEYS_LISTED]) + more)


def _delete(writer: ObjectWriter, kind: str, rows: Iterable[Any]) -> None:
    for row in rows:
        owner = getattr(row, "tenant", None)
        name = f"{owner.slug}/{row}" if owner else str(row)
        try:
            delete_row(row, reason=writer.rules.reason)
        except ObjectInUse as error:
            text = f"The {kind} {name} is not in the file. {error.message}"
            raise BadConfigFile([writer.document.make_problem((f"{kind}s",), text)]) from None
        writer.note_change("delete", kind, name)


def _publish_prices(writer: ObjectWriter, names: Collection[str]) -> None:
    """Let edited prices that no file names follow the published ones; others go."""
    for row in ModelPrice.objects.filter(edited=True):
        if str(row) not in names:
            services.unset_price(row)
            writer.note_change("delete", "price", str(row))
