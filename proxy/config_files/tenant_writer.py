"""Write tenants and plans."""

from collections.abc import Mapping
from typing import Any, Final

from plans import capabilities, presets, services, validation
from plans.api_errors import InvalidPlan
from plans.models import Plan, Tenant
from plans.snapshot import ALL_ROUTES, find_serving_route
from proxy.config_files.columns import fill_columns
from proxy.config_files.fields import TENANT_FIELDS
from proxy.config_files.object_writer import ObjectWriter
from proxy.config_files.reader import ValuePath

# Objects of a tenant, which stand within it in a file.
TENANT_SECTIONS: Final = ("plans", "keys")


def write_tenant(
    writer: ObjectWriter, path: ValuePath, slug: str, said: Any, *sections: str
) -> Tenant | None:
    """Make a tenant what is said; return it unless something is wrong.

    `sections`: names within it that are no fields and are written elsewhere.
    """
    values = writer.read_fields(path, said, TENANT_FIELDS, *sections)
    if values is None:
        return None
    row = Tenant.objects.filter(slug=slug).first() or Tenant(slug=slug)
    known = writer.list_route_names()
    # One whose route was deleted since is no reason to refuse another change.
    had = set() if row._state.adding else set(row.routes)
    strange = sorted(
        name
        for name in set(values.get("routes", ())) - known - {ALL_ROUTES} - had
        if not find_serving_route(known, name)
    )
    if strange:
        writer.refuse((*path, "routes"), f"No such route: {', '.join(strange)}.")
        return None
    columns = fill_columns(Tenant, values, TENANT_FIELDS)
    if not writer.write_row("tenant", slug, path, row, columns):
        return None
    writer.set_default_later(path, row, values.get("default_plan"))
    return row


def write_plan(
    writer: ObjectWriter, path: ValuePath, name: str, said: Any, *, owner: Tenant | None
) -> None:
    """Make a plan what is said; what a preset could not fill in is added to the writer's notes."""
    system = capabilities.get_tenant_capabilities(owner, writer.system)
    body = {} if said is None else said
    try:
        if isinstance(body, Mapping):
            body = {"plan_name": name} | dict(body)
        draft = validation.validate_plan(
            presets.expand_preset(body, capabilities=system, notes=writer.notes),
            capabilities=system,
        )
    except InvalidPlan as error:
        for field, text in error.problems.items():
            writer.refuse((*path, *field.split(".")) if field else path, text)
        return
    if draft.name != name:
        writer.refuse((*path, "plan_name"), f"Must be {name}, as it is named, or be left out.")
        return
    row = Plan.objects.filter(tenant=owner, name=name).first() or Plan(tenant=owner, name=name)
    shown = f"{owner.slug}/{name}" if owner else name
    writer.write_row("plan", shown, path, row, services.build_plan_columns(draft))
