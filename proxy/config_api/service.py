"""Change one object over the API: checked and written as a configuration file's is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from django.db import transaction

from plans import key_rotation, services
from plans.api_errors import InvalidFields
from plans.managed_marks import refuse_locked
from plans.models import Plan, Tenant, VirtualKey
from plans.records import compute_row_version
from proxy.config_api.kinds import ObjectKind
from proxy.config_api.parameters import Conditions
from proxy.config_files.changes import AppliedChanges, FieldDifference, ObjectChange
from proxy.config_files.columns import format_value
from proxy.config_files.object_writer import ObjectWriter, WriteRules
from proxy.config_files.reader import ConfigDocument, Place

MAX_NAME_LENGTH: Final = 300
REQUEST_PLACE: Final = Place("the request", 1)


@dataclass(frozen=True, slots=True)
class ObjectRequest:
    """Which object a call is about, and how: `dry_run` makes and takes back the change."""

    kind: ObjectKind
    owner: Tenant | None
    name: str
    conditions: Conditions = field(default_factory=Conditions)
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ChangedObject:
    """The object after a change, None if it was deleted; and what has changed.

    `secret`: of a key that was generated; `notes`: what the author may want to know.
    """

    row: Any
    done: AppliedChanges
    is_new: bool = False
    secret: str | None = None
    notes: tuple[str, ...] = ()


def compute_etag(row: Any) -> str:
    """Return the object's version as an ETag: a plan's number, of others a digest."""
    version = str(row.version) if isinstance(row, Plan) else compute_row_version(row)
    return f'"{version}"'


def find_object(wanted: ObjectRequest) -> Any:
    """Return the object. Raises an ApiError of its kind if there is none."""
    row = _find_present(wanted)
    if row is None:
        raise wanted.kind.make_not_found(wanted.name)
    return row


def _find_present(wanted: ObjectRequest) -> Any:
    if not wanted.name.isprintable() or len(wanted.name) > MAX_NAME_LENGTH:
        raise wanted.kind.make_not_found(wanted.name)
    return wanted.kind.find(wanted.owner, wanted.name)


@transaction.atomic
def put_object(wanted: ObjectRequest, body: object) -> ChangedObject:
    """Make the object what the body says, whether or not there was one.

    Fields that are left out take their defaults, secrets stay. Raises InvalidFields,
    PreconditionFailed, ManagedObjectLocked or AmbiguousKey.
    """
    services.lock_configuration()
    present = _find_present(wanted)
    wanted.conditions.check(compute_etag(present) if present else None)
    return _write(wanted, body, present)


@transaction.atomic
def patch_object(wanted: ObjectRequest, body: object) -> ChangedObject:
    """Change the given fields of an object; the others stay. Raises as `put_object` and the kind's
    error for an object that is not there.
    """
    services.lock_configuration()
    present = find_object(wanted)
    wanted.conditions.check(compute_etag(present))
    if not isinstance(body, Mapping):
        raise InvalidFields({"": "The body must be an object of fields to change."})
    return _write(wanted, wanted.kind.build_body(present) | dict(body), present)


def _write(wanted: ObjectRequest, body: object, present: Any) -> ChangedObject:
    if present is not None:
        refuse_locked(present)
    reason, said = services.split_reason(body)
    writer = ObjectWriter(
        _build_document(said),
        WriteRules(reason=reason, reads_secret_files=False, keeps_secrets=True),
    )
    wanted.kind.write(writer, wanted.owner, wanted.name, said, present)
    writer.write_default_plans()
    if writer.problems:
        raise InvalidFields({".".join(each.path): each.text for each in writer.problems})
    row = writer.written[-1].row
    row.refresh_from_db()  # amounts as they are stored
    transaction.set_rollback(wanted.dry_run)
    return ChangedObject(
        row,
        writer.done,
        is_new=present is None,
        secret=writer.new_secret,
        notes=tuple(writer.notes),
    )


def _build_document(body: object) -> ConfigDocument:
    """Build the document of one object, in which a problem is found by its field."""
    fields = [str(name) for name in body] if isinstance(body, Mapping) else []
    return ConfigDocument(places={(): REQUEST_PLACE} | {(name,): REQUEST_PLACE for name in fields})


@transaction.atomic
def create_plan(
    owner: Tenant | None, body: object, *, notes: list[str], dry_run: bool
) -> ChangedObject:
    """Create a plan, as `services.create_plan` does and with its errors."""
    row = services.create_plan(owner=owner, body=body, notes=notes)
    transaction.set_rollback(dry_run)
    done = AppliedChanges([ObjectChange("create", "plan", _name_plan(row))])
    return ChangedObject(row, done, is_new=True, notes=tuple(notes))


def patch_plan(wanted: ObjectRequest, body: object) -> ChangedObject:
    """Change the given settings of a plan, inside a half too, as `services.change_plan` does.

    Raises its errors and PreconditionFailed.
    """
    if not wanted.dry_run and wanted.conditions == Conditions():
        # Without the lock, under which nobody else could change anything while backends are probed.
        row = services.change_plan(owner=wanted.owner, name=wanted.name, body=body)
        return ChangedObject(row, AppliedChanges())
    return _patch_plan_locked(wanted, body)


@transaction.atomic
def _patch_plan_locked(wanted: ObjectRequest, body: object) -> ChangedObject:
    services.lock_configuration()
    present = find_object(wanted)
    wanted.conditions.check(compute_etag(present))
    before = services.build_plan_columns(services.build_draft(present))
    row = services.change_plan(owner=wanted.owner, name=wanted.name, body=body)
    after = services.build_plan_columns(services.build_draft(row))
    differences = [
        FieldDifference(name, before[name], value)
        for name, value in after.items()
        if name in before and before[name] != value
    ]
    done = AppliedChanges(unchanged=0 if differences else 1)
    if differences:
        done.changes.append(ObjectChange("update", "plan", _name_plan(present), differences))
    transaction.set_rollback(wanted.dry_run)
    return ChangedObject(row, done)


def _name_plan(row: Plan) -> str:
    return f"{row.tenant.slug}/{row.name}" if row.tenant else row.name


@transaction.atomic
def delete_object(wanted: ObjectRequest) -> ChangedObject:
    """Delete the object; a key is revoked. Raises ObjectInUse and as `patch_object`."""
    services.lock_configuration()
    row = find_object(wanted)
    wanted.conditions.check(compute_etag(row))
    refuse_locked(row)
    action, name = "delete", str(row)
    if isinstance(row, VirtualKey):
        action, name = "revoke", f"{row.tenant.slug}/{row.name}"
    wanted.kind.delete(row)
    transaction.set_rollback(wanted.dry_run)
    change = ObjectChange(action, wanted.kind.name, name)  # type: ignore[arg-type]  # one of two
    return ChangedObject(None, AppliedChanges([change]))


@dataclass(frozen=True, slots=True)
class RotatedKey:
    """The new key with its secret, the former one, and what has changed."""

    made: VirtualKey
    former: VirtualKey
    secret: str
    done: AppliedChanges


@transaction.atomic
def rotate_key(
    wanted: ObjectRequest, *, overlap: timedelta, secret: str | None, reason: str | None
) -> RotatedKey:
    """Give a key another secret. Raises as `key_rotation.rotate_key` and `patch_object`."""
    services.lock_configuration()
    former = find_object(wanted)
    wanted.conditions.check(compute_etag(former))
    before = format_value(former.expires_at)
    made, new_secret = key_rotation.rotate_key(
        former, overlap=overlap, secret=secret, reason=reason
    )
    name = f"{former.tenant.slug}/{former.name}"
    until = FieldDifference("expires_at", before, format_value(former.expires_at))
    left = f"{name} ({former.prefix}...)"
    done = AppliedChanges(
        [
            ObjectChange("create", "key", name),
            ObjectChange("update", "key", left, [until])
            if overlap
            else ObjectChange("revoke", "key", left),
        ]
    )
    transaction.set_rollback(wanted.dry_run)
    return RotatedKey(made, former, new_secret, done)
