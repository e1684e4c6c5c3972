"""Make the database say what configuration files say: all of it or nothing, in one transaction.

A field that an object leaves out takes its default. Objects that no file names stay, unless they
are pruned (`proxy.config_files.pruning`).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from django.db import transaction

from plans import services
from plans.managed_marks import applying_files, mark_objects
from plans.models import Tenant
from proxy.config_files.changes import AppliedChanges
from proxy.config_files.key_writer import write_key
from proxy.config_files.object_writer import ObjectWriter
from proxy.config_files.reader import BadConfigFile, ConfigDocument, ValuePath
from proxy.config_files.target_writer import write_price, write_route, write_upstream
from proxy.config_files.tenant_writer import TENANT_SECTIONS, write_plan, write_tenant

WriteObject = Callable[[ObjectWriter, ValuePath, str, Any], object]


def _write_whole_tenant(writer: ObjectWriter, path: ValuePath, slug: str, said: Any) -> None:
    """Write a tenant and its plans."""
    row = write_tenant(writer, path, slug, said, *TENANT_SECTIONS)
    for plan_path, name, plan in iter_objects(writer, (*path, "plans")) if row else ():
        write_plan(writer, plan_path, name, plan, owner=row)


def _write_platform_plan(writer: ObjectWriter, path: ValuePath, name: str, said: Any) -> None:
    write_plan(writer, path, name, said, owner=None)


# In the order in which they are written: what comes later may name what came before.
SECTIONS: Final[Mapping[str, WriteObject]] = {
    "upstreams": write_upstream,
    "routes": write_route,
    "tenants": _write_whole_tenant,
    "plans": _write_platform_plan,
    "prices": write_price,
}


def apply_config(
    document: ConfigDocument,
    *,
    dry_run: bool = False,
    after: Callable[[ObjectWriter], None] = lambda writer: None,
) -> AppliedChanges:
    """Write what the document says and return what changed; with `dry_run`, undo it again.

    `after`: called before the end of the transaction. Raises BadConfigFile, and ApiError if rows
    changed meanwhile; then nothing is written.
    """
    with transaction.atomic(), applying_files():
        services.lock_configuration()
        writer = ObjectWriter(document)
        write_document(writer)
        after(writer)
        mark_objects(document.source, writer.written)
        transaction.set_rollback(dry_run)
    return writer.done


def write_document(writer: ObjectWriter) -> None:
    """Write every section. Raises BadConfigFile with all that is wrong."""
    for name in writer.document.values:
        if name not in SECTIONS:
            writer.refuse((name,), f"Unknown section. Accepted: {', '.join(SECTIONS)}.")
    for section, write in SECTIONS.items():
        for path, name, said in iter_objects(writer, (section,)):
            write(writer, path, name, said)
    writer.write_default_plans()
    _write_keys(writer)
    if writer.problems:
        raise BadConfigFile(dict.fromkeys(writer.problems))


def iter_objects(writer: ObjectWriter, path: ValuePath) -> Iterator[tuple[ValuePath, str, Any]]:
    """Yield the objects of a section: path, name and what the document says of each."""
    said: Any = writer.document.values
    for name in path:
        said = said.get(name) if isinstance(said, Mapping) else None
    if said is None:
        return
    if not isinstance(said, Mapping):
        writer.refuse(path, "Must be a mapping of names.")
        return
    for name, one in said.items():
        yield (*path, name), name, one


def _write_keys(writer: ObjectWriter) -> None:
    tenants = {each.slug: each for each in Tenant.objects.all()}
    for path, slug, _ in iter_objects(writer, ("tenants",)):
        tenant = tenants.get(slug)
        if tenant is None:
            continue
        for key_path, name, key in iter_objects(writer, (*path, "keys")):
            write_key(writer, key_path, name, key, tenant=tenant)
