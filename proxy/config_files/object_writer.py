"""Write objects of the configuration as somebody says them, collecting changes and problems.

Shared by configuration files and the management API, so that both check alike.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import models

from plans import capabilities, services
from plans.import_export.resources import MemoizedCapabilities
from plans.managed_marks import WrittenObject
from plans.models import Plan, Tenant
from plans.records import compute_row_version
from proxy.config_files.changes import (
    HIDDEN_VALUE,
    Action,
    AppliedChanges,
    FieldDifference,
    ObjectChange,
)
from proxy.config_files.columns import set_columns
from proxy.config_files.fields import FileField
from proxy.config_files.reader import ConfigDocument, Problem, ValuePath
from proxy.config_files.references import MissingReference, read_secret
from proxy.models import Route

Values = dict[str, Any]
SaveRow = Callable[[str, set[str]], object]
REASON: Final = "Applied from a file"


@dataclass(frozen=True, slots=True)
class WriteRules:
    """How what is said is read: as a file's, or as a request's.

    `reason`: for the history. `reads_secret_files`: whether `file:<path>` is read; never for who
    is not on this machine. `keeps_secrets`: whether a secret that is left out stays as it is.
    """

    reason: str | None = REASON
    reads_secret_files: bool = True
    keeps_secrets: bool = False


@dataclass(slots=True)
class ObjectWriter:
    """What is written of a document so far, and what was wrong.

    Within a transaction that holds the configuration's lock. `written`: every object that the
    document names, changed or not; `notes`: what its author may want to know; `new_secret`: of a
    key that was generated.
    """

    document: ConfigDocument
    rules: WriteRules = field(default_factory=WriteRules)
    done: AppliedChanges = field(default_factory=AppliedChanges)
    problems: list[Problem] = field(default_factory=list)
    written: list[WrittenObject] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    new_secret: str | None = None
    # Each backend is probed once.
    system: Any = field(
        default_factory=lambda: MemoizedCapabilities(capabilities.get_capabilities())
    )
    # Read once.
    _route_names: frozenset[str] | None = None
    # Written once all plans are: the path of each, its row and the name of its default plan.
    _defaults: list[tuple[ValuePath, Route | Tenant, str | None]] = field(default_factory=list)

    def refuse(self, path: ValuePath, text: str) -> None:
        """Note what is wrong."""
        self.problems.append(self.document.make_problem(path, text))

    def note_change(
        self,
        action: Action,
        kind: str,
        name: str,
        differences: "list[FieldDifference] | tuple[()]" = (),
    ) -> None:
        self.done.changes.append(ObjectChange(action, kind, name, differences))

    def read_fields(
        self, path: ValuePath, said: Any, fields: Mapping[str, FileField], *others: str
    ) -> Values | None:
        """Return an object's values by field; None after noting what is wrong.

        `others`: names that are no fields and are read elsewhere.
        """
        if said is None:
            said = {}
        accepted = ", ".join((*fields, *others))
        if not isinstance(said, Mapping):
            self.refuse(path, f"Must be a mapping of: {accepted}.")
            return None
        before = len(self.problems)
        for name in sorted(said.keys() - fields.keys() - set(others)):
            self.refuse((*path, name), f"Unknown field. Accepted: {accepted}.")
        values: Values = {}
        for name, each in fields.items():
            if name in said:
                self._read_value((*path, name), said[name], each, values)
            elif each.is_required and not (each.is_secret and self.rules.keeps_secrets):
                self.refuse(path, f"{name} is missing: {each.help}")
        return values if len(self.problems) == before else None

    def _read_value(self, path: ValuePath, given: Any, each: FileField, values: Values) -> None:
        try:
            if each.is_secret and isinstance(given, str):
                given = self._read_secret(given)
            found = each.read(given)
            values[path[-1]] = (
                {name: self._read_secret(value) for name, value in found.items()}
                if each.has_secret_values
                else found
            )
        except (ValueError, MissingReference) as error:
            self.refuse(path, str(error))

    def _read_secret(self, text: str) -> str:
        return read_secret(text, reads_files=self.rules.reads_secret_files)

    def write_row(
        self,
        kind: str,
        name: str,
        path: ValuePath,
        row: models.Model,
        columns: Mapping[str, Any],
        *,
        save: SaveRow | None = None,
        changed_secrets: Iterable[str] = (),
    ) -> bool:
        """Save a row if it differs; whether it is valid.

        `save`: how, given the version that was read and the columns that changed;
        `changed_secrets`: fields that are no columns.
        """
        is_new = row._state.adding
        read_version = "" if is_new else compute_row_version(row)
        differences = set_columns(row, columns)
        differences += [
            FieldDifference(each, HIDDEN_VALUE, HIDDEN_VALUE) for each in changed_secrets
        ]
        is_changed = is_new or bool(differences)
        if is_changed:
            changed = {each.field for each in differences} & columns.keys()
            try:
                (save or self._make_saver(row))(read_version, changed)
            except ValidationError as error:
                self.refuse_invalid(path, error)
                return False
            self.note_change(
                "create" if is_new else "update", kind, name, [] if is_new else differences
            )
        else:
            self.done.unchanged += 1
        self.written.append(WrittenObject(row, self.document.find_place(path).file, is_changed))
        return True

    def _make_saver(self, row: models.Model) -> SaveRow:
        def save(read_version: str, changed: set[str]) -> None:
            row.full_clean()
            if row._state.adding:
                services.create_row(row, reason=self.rules.reason)
            else:
                services.update_row(
                    row, read_version=read_version, columns=changed, reason=self.rules.reason
                )

        return save

    def refuse_invalid(self, path: ValuePath, error: ValidationError) -> None:
        """Note what a model's own check found, at the fields that were given."""
        fields = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
        for name, messages in fields.items():
            where = (*path, name) if (*path, name) in self.document.places else path
            text = " ".join(messages)
            self.refuse(where, text if where != path or not name else f"{name}: {text}")

    def list_route_names(self) -> frozenset[str]:
        """Return the names of all routes, which are written before what names them."""
        if self._route_names is None:
            self._route_names = frozenset(Route.objects.values_list("name", flat=True))
        return self._route_names

    def find_plan(
        self, path: ValuePath, name: str | None, owner: Tenant | None
    ) -> tuple[bool, Plan | None]:
        """Find a plan of the owner or the platform; False, with a problem, if there is none."""
        if name is None:
            return True, None
        rows = Plan.objects.filter(name=name, tenant=None)
        own = Plan.objects.filter(name=name, tenant=owner) if owner else rows
        plan = own.first() or rows.first()
        if plan is None:
            whose = f"{owner.slug} or the platform" if owner else "the platform"
            self.refuse(path, f"No such plan of {whose}.")
        return plan is not None, plan

    def set_default_later(self, path: ValuePath, row: Route | Tenant, plan: str | None) -> None:
        """Remember the default plan of a saved route or tenant: plans are written after it."""
        self._defaults.append((path, row, plan))

    def write_default_plans(self) -> None:
        """Give saved routes and tenants their default plans, each as part of its own change."""
        for path, row, name in self._defaults:
            owner = row if isinstance(row, Tenant) else None
            found, plan = self.find_plan((*path, "default_plan"), name, owner)
            if found and row.default_plan != plan:
                self._write_default_plan(path, row, plan)

    def _write_default_plan(self, path: ValuePath, row: Route | Tenant, plan: Plan | None) -> None:
        kind, name, before = type(row).__name__.lower(), str(row), len(self.done.changes)
        if self.write_row(kind, name, path, row, {"default_plan": plan}):
            self._join_changes(kind, name, before)

    def _join_changes(self, kind: str, name: str, start: int) -> None:
        """Make one change of the one after `start` and an earlier one of the same object."""
        (later,) = self.done.changes[start:]
        for place, each in enumerate(self.done.changes[:start]):
            if (each.kind, each.name) == (kind, name):
                joined = () if each.action == "create" else (*each.differences, *later.differences)
                self.done.changes[place] = replace(each, differences=joined)
                self.done.changes.pop()
                return
        self.done.unchanged -= 1
