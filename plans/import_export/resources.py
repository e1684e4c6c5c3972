"""Plans and prices imported from files, all rows or none, with the validation of API and form."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from functools import cache
from typing import Any, Final, Protocol, get_type_hints

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError

from plans import capabilities, records, services, validation
from plans.api.serializers import PlanSerializer
from plans.api_errors import InvalidPlan, VersionConflict
from plans.field_changes import FieldChange, list_field_changes
from plans.fields import FIELD_LABELS, list_settings
from plans.forms.model_forms import ImportedPriceForm
from plans.import_export.formats import escape_unprintable, find_unstorable_texts
from plans.managed_marks import find_lock
from plans.models import ModelPrice, Plan, Tenant
from plans.pricing import BASE_RATE_NAMES
from plans.snapshot import CacheSettings, CompressionSettings

SECTION_SETTINGS: Final = {"compression": CompressionSettings, "cache": CacheSettings}
EXCLUDED_FIELDS: Final = frozenset({"notes", "created_at", "updated_at"})
TEXT_COLUMNS: Final = frozenset({"plan_name", "tenant", "mode"})
AMOUNT_COLUMNS: Final = BASE_RATE_NAMES
MAX_HISTORY_RECORDS: Final = 200  # searched for the exported version
MAX_PRICE_EXPONENT = 30  # power of ten
VERSION_COLUMN: Final = "version"
WRONG_VERSION_MESSAGE: Final = (
    "Must be what an export says; leave it out to take the row whatever was changed since."
)


@dataclass(frozen=True, slots=True)
class ImportRow:
    """The check of one row of a file, compared with the saved row."""

    # From 1.
    number: int
    name: str
    is_new: bool = False
    changes: list[FieldChange] = field(default_factory=list)
    # Messages by field.
    problems: dict[str, str] = field(default_factory=dict)
    # Of the saved row, "" for a new one.
    version: str = ""
    # A sentence if the saved row was changed after the export, with those changes.
    newer: str = ""
    newer_changes: list[FieldChange] = field(default_factory=list)

    @property
    def is_unchanged(self) -> bool:
        return not (self.is_new or self.changes or self.problems)


class Resource(Protocol):
    """Import and export of one kind of row."""

    name: str

    @property
    def columns(self) -> Sequence[str]: ...

    def export_rows(self, rows: Iterable[Any]) -> list[dict[str, Any]]:
        """Convert saved rows to the dicts of a JSON export."""
        ...

    def flatten_row(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Convert an exported row to CSV cells."""
        ...

    def unflatten_row(self, cells: Mapping[str, str]) -> dict[str, Any]:
        """Convert CSV cells to an exported row."""
        ...

    def check_rows(
        self, rows: Sequence[Mapping[str, Any]], *, tenant: Tenant | None
    ) -> list[ImportRow]:
        """Check what each row would change; `tenant`: whose rows the user may import, None: all."""
        ...

    def save_rows(
        self,
        rows: Sequence[Mapping[str, Any]],
        *,
        checked: Sequence[ImportRow],
        reason: str,
    ) -> None:
        """Save rows within a transaction after `check_rows` returned `checked` without problems.

        Raises ApiError if a saved row changed meanwhile.
        """
        ...


class MemoizedCapabilities:
    """The running system's capabilities, with each backend probed once per file."""

    def __init__(self, system: capabilities.Capabilities) -> None:
        self._system = system
        self.find_backend_problem = cache(system.find_backend_problem)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._system, name)


class PlanResource:
    name = "plans"
    columns = (
        "plan_name",
        "tenant",
        *(each.name for each in list_settings("")),
        VERSION_COLUMN,
        *(
            column
            for half, shape in SECTION_SETTINGS.items()
            for column in (half, *(f"{half}.{name}" for name in get_type_hints(shape)))
        ),
    )

    def export_rows(self, rows: Iterable[Plan]) -> list[dict[str, Any]]:
        return [
            {
                name: value
                for name, value in PlanSerializer(plan).data.items()
                if name not in EXCLUDED_FIELDS
            }
            for plan in rows
        ]

    def flatten_row(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        cells = {}
        for name, value in row.items():
            if name in SECTION_SETTINGS:
                cells[name] = "off" if value is None else "on"
                cells |= {f"{name}.{field}": each for field, each in (value or {}).items()}
            else:
                cells[name] = value
        return cells

    def unflatten_row(self, cells: Mapping[str, str]) -> dict[str, Any]:
        """Convert CSV cells to a plan's JSON.

        A half is `on` or `off`. An empty cell is null if the setting can be null, else left out.
        """
        row: dict[str, Any] = {}
        halves: dict[str, dict[str, Any]] = {half: {} for half in SECTION_SETTINGS}
        for column, cell in cells.items():
            half, _, name = column.partition(".")
            if name and half in SECTION_SETTINGS:
                types = _list_field_types(SECTION_SETTINGS[half], name)
                if cell or type(None) in types:
                    # Kept as text: a route's name can be 4, true or nan.
                    halves[half][name] = cell if cell and str in types else _parse_cell(cell)
            elif column not in SECTION_SETTINGS and (cell or column == "tenant"):
                row[column] = (cell or None) if column in TEXT_COLUMNS else _parse_cell(cell)
        for half, settings in halves.items():
            said = cells.get(half, "")
            if said not in {"on", "off", ""}:
                row[half] = said  # validation rejects it
            elif said:
                row[half] = settings if said == "on" else None
        return row

    def check_rows(
        self, rows: Sequence[Mapping[str, Any]], *, tenant: Tenant | None
    ) -> list[ImportRow]:
        # Each backend is probed once per file instead of once per row.
        system: Any = MemoizedCapabilities(capabilities.get_capabilities())
        tenants = {each.slug: each for each in Tenant.objects.all()}
        found, seen = [], set()
        for number, row in enumerate(rows, 1):
            if problems := find_unstorable_texts(row):
                found.append(
                    ImportRow(
                        number, escape_unprintable(str(row.get("plan_name"))), problems=problems
                    )
                )
                continue
            owner = row.get("tenant")
            key = name, slug = str(row.get("plan_name")), None if owner == "" else owner
            called = name if slug is None else f"{name} of {slug}"
            if slug is not None and (not isinstance(slug, str) or slug not in tenants):
                problems = {"tenant": "No such tenant. Empty, or null: the platform's."}
            elif tenant is not None and slug != tenant.slug:
                problems = {"tenant": f"You may bring plans of {tenant.slug} alone."}
            elif not _is_plan_version(row.get(VERSION_COLUMN)):
                problems = {VERSION_COLUMN: WRONG_VERSION_MESSAGE}
            elif key in seen:
                problems = {"plan_name": "This plan stands in the file twice."}
            else:
                seen.add(key)
                found.append(
                    self._check_row(ImportRow(number, called), row, tenants.get(slug or ""), system)
                )
                continue
            found.append(ImportRow(number, called, problems=problems))
        return found

    def _check_row(
        self, so_far: ImportRow, row: Mapping[str, Any], owner: Tenant | None, system: Any
    ) -> ImportRow:
        number, called, name = so_far.number, so_far.name, row.get("plan_name")
        known = isinstance(name, str) and validation.PLAN_NAME_PATTERN.fullmatch(name)
        plan = Plan.objects.filter(tenant=owner, name=name).first() if known else None
        try:
            draft = validation.validate_plan(
                _build_plan_body(row),
                capabilities=capabilities.get_tenant_capabilities(owner, system),
                base=services.build_draft(plan) if plan else None,
            )
        except InvalidPlan as refusal:
            return ImportRow(number, called, problems=refusal.problems)
        if plan is None:
            return ImportRow(number, called, is_new=True)
        drafted = copy(plan)
        for column, value in services.build_plan_columns(draft).items():
            setattr(drafted, column, value)
        checked = ImportRow(
            number,
            called,
            changes=_relabel_changes(list_field_changes(Plan, {}, plan, drafted), FIELD_LABELS),
            version=str(plan.version),
        )
        if checked.changes and (lock := find_lock(plan)):
            return replace(checked, problems={"plan_name": lock})
        exported = row.get(VERSION_COLUMN)
        if exported is None or exported == plan.version or not checked.changes:
            return checked
        newer = _describe_newer_changes(
            plan,
            called,
            is_exported=lambda note: note.version == exported,
            versions=f"version {exported}; it is at version {plan.version} now",
        )
        return replace(
            checked,
            newer=newer[0],
            newer_changes=_relabel_changes(newer[1], FIELD_LABELS),
        )

    def save_rows(
        self,
        rows: Sequence[Mapping[str, Any]],
        *,
        checked: Sequence[ImportRow],
        reason: str,
    ) -> None:
        for row, found in zip(rows, checked, strict=True):
            if found.is_unchanged:
                continue
            owner = Tenant.objects.get(slug=row["tenant"]) if row.get("tenant") else None
            body = _build_plan_body(row)
            if found.is_new:
                services.create_plan(owner=owner, body=body, reason=reason)
            else:
                body |= {"version": int(found.version), "reason": reason}
                services.change_plan(owner=owner, name=row["plan_name"], body=body)


class PriceResource:
    name = "prices"
    columns = ("provider", "model", *AMOUNT_COLUMNS, "terms", VERSION_COLUMN)

    def export_rows(self, rows: Iterable[ModelPrice]) -> list[dict[str, Any]]:
        return [
            {"provider": row.provider, "model": row.model}
            | {
                name: None if (amount := getattr(row, name)) is None else f"{amount:f}"
                for name in AMOUNT_COLUMNS
            }
            | {"terms": row.terms, VERSION_COLUMN: records.compute_row_version(row)}
            for row in rows
        ]

    def flatten_row(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        return row

    def unflatten_row(self, cells: Mapping[str, str]) -> dict[str, Any]:
        return {name: cell or None for name, cell in cells.items()}

    def check_rows(
        self, rows: Sequence[Mapping[str, Any]], *, tenant: Tenant | None
    ) -> list[ImportRow]:
        if tenant is not None:
            raise PermissionDenied
        known = {(price.provider, price.model): price for price in ModelPrice.objects.all()}
        seen: set[tuple[str, str]] = set()
        found = []
        for number, row in enumerate(rows, 1):
            if strange := find_unstorable_texts(row):
                found.append(
                    ImportRow(
                        number,
                        escape_unprintable(f"{row.get('provider')}/{row.get('model')}"),
                        problems=strange,
                    )
                )
                continue
            key = str(row.get("provider")), str(row.get("model"))
            checked = self._check_row(ImportRow(number, "/".join(key)), row, known.get(key))
            if key in seen:
                twice = {"model": "This model stands in the file twice."}
                checked = replace(
                    checked, problems=checked.problems | twice, is_new=False, changes=[]
                )
            seen.add(key)
            found.append(checked)
        return found

    def _check_row(
        self, so_far: ImportRow, row: Mapping[str, Any], price: ModelPrice | None
    ) -> ImportRow:
        form = _build_price_form(row, copy(price) if price else None)
        problems = {name: "Unknown field." for name in row if name not in self.columns} | {
            name: " ".join(map(str, texts)) for name, texts in form.errors.items()
        }
        exported = row.get(VERSION_COLUMN)
        if exported is not None and not isinstance(exported, str):
            problems[VERSION_COLUMN] = WRONG_VERSION_MESSAGE
        if problems:
            return replace(so_far, problems=problems)
        if price is None:
            return replace(so_far, is_new=True)
        version = records.compute_row_version(price)
        checked = replace(
            so_far,
            version=version,
            changes=list_field_changes(ModelPrice, form.fields, price, form.instance),
        )
        if checked.changes and (lock := find_lock(price)):
            return replace(checked, problems={"model": lock})
        if not exported or exported == version or not checked.changes:
            return checked
        newer, newer_changes = _describe_newer_changes(
            price,
            so_far.name,
            is_exported=lambda note: records.compute_row_version(note) == exported,
            versions="",
        )
        return replace(checked, newer=newer, newer_changes=newer_changes)

    def save_rows(
        self,
        rows: Sequence[Mapping[str, Any]],
        *,
        checked: Sequence[ImportRow],
        reason: str,
    ) -> None:
        known = {(price.provider, price.model): price for price in ModelPrice.objects.all()}
        for row, found in zip(rows, checked, strict=True):
            if found.is_unchanged:
                continue
            price = known.get((str(row["provider"]), str(row["model"])))
            form = _build_price_form(row, None if found.is_new else price)
            if not form.is_valid() or (price is None) != found.is_new:
                raise VersionConflict(f"{found.name} was changed meanwhile.")
            form.instance.edited = True
            if found.is_new:
                try:
                    services.create_row(form.instance, reason=reason)
                except IntegrityError:
                    raise VersionConflict(f"{found.name} was made meanwhile.") from None
            else:
                services.update_row(
                    form.instance,
                    read_version=found.version,
                    columns={*form.fields, "edited"},
                    reason=reason,
                )


def _build_price_form(row: Mapping[str, Any], price: ModelPrice | None) -> ImportedPriceForm:
    """Bind the price form to a row, with numbers exactly as written."""
    data = {}
    for name in ImportedPriceForm.Meta.fields:
        value = row.get(name)
        if name == "terms" and name not in row:  # a file older than terms
            value = price.terms if price else ""
        # Lists, objects and booleans become text that the form rejects as a number.
        data[name] = (
            ""
            if value is None
            else _format_decimal(value)
            if isinstance(value, Decimal)
            else str(value)
        )
    return ImportedPriceForm(data, instance=price)


def _format_decimal(number: Decimal) -> str:
    """Format a number in plain notation, unless its exponent exceeds MAX_PRICE_EXPONENT."""
    if not number:
        return "0"
    # Otherwise a page of zeros; the form rejects such a number as it stands.
    return f"{number:f}" if abs(number.adjusted()) <= MAX_PRICE_EXPONENT else str(number)


def _build_plan_body(row: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a row to the API's body, with Decimal numbers as float."""
    return {
        # The API's JSON parser makes floats of them too.
        name: _convert_decimals(value)
        for name, value in row.items()
        if name not in ("tenant", VERSION_COLUMN)
    }


def _is_plan_version(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _convert_decimals(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _convert_decimals(each) for name, each in value.items()}
    return float(value) if isinstance(value, Decimal) else value


def _list_field_types(shape: type[Any], name: str) -> tuple[Any, ...]:
    hint = get_type_hints(shape).get(name)
    return getattr(hint, "__args__", (hint,))


def _parse_cell(cell: str) -> Any:
    """Parse a cell as null, true, false or a number, else keep its text."""
    if cell in {"", "true", "false"}:
        return {"": None, "true": True, "false": False}[cell]
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return cell


def _relabel_changes(found: list[FieldChange], labels: Mapping[str, str]) -> list[FieldChange]:
    return [
        FieldChange(**asdict(change) | {"label": labels.get(change.field, change.label)})
        for change in found
    ]


def _describe_newer_changes(
    row: Any, called: str, *, is_exported: Callable[[Any], bool], versions: str
) -> tuple[str, list[FieldChange]]:
    """Describe who changed what since the export, as far as the history goes."""
    notes = list(records.get_row_history(row)[:MAX_HISTORY_RECORDS])
    place = next((place for place, note in enumerate(notes) if is_exported(note)), None)
    when = f" ({versions})" if versions else ""
    if place is None:
        return (
            f"The file has {called} as it was before other changes, or as it is on another "
            f"gateway{when}.",
            [],
        )
    people = dict.fromkeys(
        note.actor or str(note.history_user or "the gateway") for note in notes[:place]
    )
    return (
        f"{' and '.join(people) or 'Somebody'} changed {called} after the file was exported{when}.",
        list_field_changes(type(row), {}, notes[place], row),
    )
