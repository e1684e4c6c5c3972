"""Write upstreams, the routes to them, and prices of their models."""

from typing import Any

from plans.models import ModelPrice
from proxy.config_files.columns import fill_columns
from proxy.config_files.fields import PRICE_FIELDS, ROUTE_FIELDS, UPSTREAM_FIELDS
from proxy.config_files.object_writer import ObjectWriter
from proxy.config_files.reader import ValuePath
from proxy.models import Route, Upstream
from proxy.upstreams import encryption
from proxy.upstreams.services import save_upstream


def write_upstream(writer: ObjectWriter, path: ValuePath, name: str, said: Any) -> None:
    """Make an upstream what is said."""
    values = writer.read_fields(path, said, UPSTREAM_FIELDS)
    if values is None:
        return
    row = Upstream.objects.filter(name=name).first() or Upstream(name=name)
    is_kept = writer.rules.keeps_secrets and "key" not in values
    key = None if is_kept else values.get("key", "")
    is_key_changed = key is not None and key != _decrypt_key(row)
    writer.write_row(
        "upstream",
        name,
        path,
        row,
        fill_columns(Upstream, values, UPSTREAM_FIELDS),
        save=lambda version, changed: save_upstream(
            row,
            provider_key=key if is_key_changed else None,
            read_version=version,
            columns=changed,
            reason=writer.rules.reason,
        ),
        is_secret_changed=is_key_changed and not row._state.adding,
    )


def _decrypt_key(row: Upstream) -> str | None:
    """Return the present key; None if nobody can read it, which is then another."""
    try:
        return encryption.decrypt(row.encrypted_key)
    except encryption.DecryptionFailed:
        return None


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
