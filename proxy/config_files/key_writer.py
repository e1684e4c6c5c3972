"""Write virtual keys. One that is given another secret is a new key, and replaces the former."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings

from plans import key_rotation, key_secrets
from plans.models import Tenant, VirtualKey
from plans.snapshot import find_serving_route, is_route_granted
from proxy.config_files.changes import FieldDifference
from proxy.config_files.columns import fill_columns, format_value
from proxy.config_files.fields import KEY_FIELDS, KEY_SECRET_FIELDS
from proxy.config_files.object_writer import ObjectWriter
from proxy.config_files.reader import ValuePath


def write_key(
    writer: ObjectWriter,
    path: ValuePath,
    name: str,
    said: Any,
    *,
    tenant: Tenant,
    present: VirtualKey | None = None,
) -> VirtualKey | None:
    """Make a key what is said; return it unless something is wrong.

    `present`: the one that is meant, where several have that name. Where its secret may be left
    out, a new key gets one made.
    """
    values = writer.read_fields(path, said, KEY_FIELDS)
    if values is None:
        return None
    is_kept = present is not None and values.keys().isdisjoint(KEY_SECRET_FIELDS)
    row = present if is_kept else _find_by_secret(writer, path, name, values, tenant)
    if row is None or not _are_routes_granted(writer, path, values, row):
        return None
    found, plan = writer.find_plan((*path, "default_plan"), values.get("default_plan"), tenant)
    if not found:
        return None
    columns = fill_columns(VirtualKey, values, KEY_FIELDS)
    columns |= {"default_plan": plan, "successor": None}
    if not writer.write_row("key", f"{tenant.slug}/{name}", path, row, columns):
        return None
    _replace_others(writer, row, timedelta(seconds=values.get("overlap", 0)), present)
    return row


def _find_by_secret(
    writer: ObjectWriter, path: ValuePath, name: str, values: Mapping[str, Any], tenant: Tenant
) -> VirtualKey | None:
    """Return the key of that secret, or a new one, whose secret may be made here."""
    given = [each for each in KEY_SECRET_FIELDS if each in values]
    if len(given) > 1 or not (given or writer.rules.keeps_secrets):
        writer.refuse(path, f"Must have one of: {', '.join(KEY_SECRET_FIELDS)}.")
        return None
    field = given[0] if given else "secret"
    if not given:
        writer.new_secret = key_rotation.generate_secret()
    digest, prefix = _read_digest(field, values.get(field) or writer.new_secret or "")
    row = VirtualKey.objects.filter(digest=digest).first()
    if row is None:
        return VirtualKey(tenant=tenant, name=name, prefix=prefix, digest=digest)
    if (row.tenant_id, row.name) != (tenant.pk, name):
        writer.refuse((*path, field), "Is the secret of another key.")
    elif row.revoked_at is not None:
        writer.refuse((*path, field), "Was revoked: give the key a new secret.")
    else:
        return row
    return None


def _read_digest(field: str, value: str) -> tuple[str, str]:
    """Return the digest and the visible prefix of a key, from its secret or its SHA-256."""
    if field == "secret":
        return key_rotation.compute_digest(value), key_secrets.mask_key(value)
    digest = key_secrets.compute_foreign_key_digest(value, pepper=settings.KEY_PEPPER)
    return digest, key_secrets.mask_foreign_key(digest)


def _are_routes_granted(
    writer: ObjectWriter, path: ValuePath, values: Mapping[str, Any], row: VirtualKey
) -> bool:
    known = writer.list_route_names()
    strange = [
        each
        for each in values.get("routes", ())
        if not is_route_granted(row.tenant.routes, each, served_by=find_serving_route(known, each))
        # One that it had is no reason to refuse another change.
        and (row._state.adding or each not in row.routes)
    ]
    if strange:
        text = f"{row.tenant.slug} may not use: {', '.join(strange)}."
        writer.refuse((*path, "routes"), text)
    return not strange


def _replace_others(
    writer: ObjectWriter, row: VirtualKey, overlap: timedelta, present: VirtualKey | None
) -> None:
    """Let the former keys of that name go: at once, or after the overlap.

    Those that are on their way out already keep their moment.
    """
    same = VirtualKey.objects.filter(tenant=row.tenant_id, name=row.name, revoked_at=None)
    others = same.exclude(pk=row.pk).filter(successor=None)
    for other in others.filter(pk=present.pk) if present else others:
        key_rotation.replace_key(other, row, overlap=overlap, reason=writer.rules.reason)
        name = f"{row.tenant.slug}/{row.name} ({other.prefix}...)"
        if overlap:
            until = FieldDifference("expires_at", None, format_value(other.expires_at))
            writer.note_change("update", "key", name, [until])
        else:
            writer.note_change("revoke", "key", name)
