"""Write upstreams, the routes to them, and prices of their models."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from django.core.exceptions import ValidationError

from plans.models import ModelPrice
from proxy.config_files.columns import fill_columns
from proxy.config_files.fields import PRICE_FIELDS, ROUTE_FIELDS, UPSTREAM_FIELDS
from proxy.config_files.object_writer import ObjectWriter, WriteRules
from proxy.config_files.reader import ValuePath
from proxy.models import Route, Upstream
from proxy.upstreams.secrets import UpstreamSecrets, read_present_secrets
from proxy.upstreams.services import check_upstream_values, save_upstream

# What a file calls each secret of an upstream.
SECRET_NAMES: Final = {"key": "key", "headers": "headers", "query": "query", "proxy_url": "proxy"}


def write_upstream(writer: ObjectWriter, path: ValuePath, name: str, said: Any) -> None:
    """Make an upstream what is said."""
    values = writer.read_fields(path, said, UPSTREAM_FIELDS)
    if values is None:
        return
    row = Upstream.objects.filter(name=name).first() or Upstream(name=name)
    columns = fill_columns(Upstream, values, UPSTREAM_FIELDS)
    present, unreadable = read_present_secrets(row)
    given = {field: values[said] for field, said in SECRET_NAMES.items() if said in values}
    before = present if writer.rules.keeps_secrets else UpstreamSecrets()
    try:
        # As it will be stored, or the same file would change it each time.
        checked = check_upstream_values(Upstream(name=name, **columns), replace(before, **given))
    except ValidationError as error:
        writer.refuse_invalid(path, _name_file_fields(error))
        return
    columns |= {"base_url": checked.base_url, "forwarded_headers": checked.forwarded_headers}
    # What nobody can decrypt is another secret now, unless it is to stay.
    lost = unreadable & given.keys() if writer.rules.keeps_secrets else unreadable
    changed = {
        field: getattr(checked.secrets, field)
        for field in SECRET_NAMES
        if field in lost or getattr(checked.secrets, field) != getattr(present, field)
    }
    writer.write_row(
        "upstream",
        name,
        path,
        row,
        columns,
        save=lambda version, names: _save_upstream(row, changed, version, names, writer.rules),
        changed_secrets=()
        if row._state.adding
        else [said for field, said in SECRET_NAMES.items() if field in changed],
    )
    writer.notes.extend(checked.notes)


def _save_upstream(
    row: Upstream,
    changed: Mapping[str, Any],
    read_version: str,
    columns: set[str],
    rules: WriteRules,
) -> None:
    save_upstream(
        row,
        provider_key=changed.get("key"),
        headers=changed.get("headers"),
        query=changed.get("query"),
        proxy_url=changed.get("proxy_url"),
        read_version=read_version,
        columns=columns,
        reason=rules.reason,
    )


def _name_file_fields(error: ValidationError) -> ValidationError:
    """Return the error with the names that fields have in a file."""
    names = {field.column: name for name, field in UPSTREAM_FIELDS.items() if field.column}
    names |= SECRET_NAMES | {"provider_key": SECRET_NAMES["key"]}
    return ValidationError(
        {names.get(name, name): texts for name, texts in error.message_dict.items()}
    )


def write_route(writer: ObjectWriter, path: ValuePath, name: str, said: Any) -> None:
    """Make a route what is said; its upstream is there or was written before."""
    values = writer.read_fields(path, said, ROUTE_FIELDS)
    if values is None:
        return
    upstream = Upstream.objects.filter(name=values["upstream"]).first()
    if upstream is None:
        known = ", ".join(Upstream.objects.values_list("name", flat=True)) or "none"
        writer.refuse((*path, "upstream"), f"No such upstream. There are: {known}.")
        return
    row = Route.objects.filter(name=name).first() or Route(name=name)
    columns = {"upstream": upstream} | fill_columns(Route, values, ROUTE_FIELDS)
    if writer.write_row("route", name, path, row, columns):
        writer.set_default_later(path, row, values.get("default_plan"))


def write_price(writer: ObjectWriter, path: ValuePath, name: str, said: Any) -> None:
    """Make the price of `<provider>/<model>` what is said, whatever is published."""
    values = writer.read_fields(path, said, PRICE_FIELDS)
    provider, slash, model = name.partition("/")
    if not (provider and slash and model):
        writer.refuse(path, "Must be named <provider>/<model>, such as openai/gpt-4o-mini.")
        return
    if values is None:
        return
    row = ModelPrice.objects.filter(provider=provider, model=model).first()
    columns = fill_columns(ModelPrice, values, PRICE_FIELDS) | {"edited": True}
    writer.write_row(
        "price", name, path, row or ModelPrice(provider=provider, model=model), columns
    )
