"""Plans and prices taken from rows of a file: all of them or none,
by the rules of the API and of the form."""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any, Final, Protocol, get_type_hints

from django.core.exceptions import PermissionDenied

from plans import capabilities, services, validation
from plans.api.serializers import PlanSerializer
from plans.api_errors import InvalidPlan
from plans.field_changes import FieldChange, list_field_changes
from plans.fields import FIELD_LABELS
from plans.forms.model_forms import ModelPriceForm
from plans.import_export.formats import escape_unprintable, find_unstorable_texts
from plans.models import ModelPrice, Plan, Tenant
from plans.pricing import BASE_RATE_NAMES
from plans.snapshot import CacheSettings, CompressionSettings

SECTION_SETTINGS: Final = {"compression": CompressionSettings, "cache": CacheSettings}
EXCLUDED_FIELDS: Final = frozenset({"version", "created_at", "updated_at"})
TEXT_COLUMNS: Final = frozenset({"plan_name", "tenant", "mode"})
AMOUNT_COLUMNS: Final = BASE_RATE_NAMES
MAX_PRICE_EXPONENT = 30  # of ten, of a price in a file


@dataclass(frozen=True, slots=True)
class ImportRow:
    """One row of a file.

    `number` as people count, from 1; `problems`: field to what is wrong with it.
    """

    number: int
    name: str
    is_new: bool = False
    changes: list[FieldChange] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def is_unchanged(self) -> bool:
        return not (self.is_new or self.changes or self.problems)


class Resource(Protocol):
    """How one kind of row goes out and in."""

    name: str

    @property
    def columns(self) -> Sequence[str]: ...

    def export_rows(self, rows: Iterable[Any]) -> list[dict[str, Any]]:
        """As an export has them in JSON."""
        ...

    def flatten_row(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Such a row as one line of CSV."""
        ...

    def unflatten_row(self, cells: Mapping[str, str]) -> dict[str, Any]:
        """A line of CSV as such a row."""
        ...

    def check_rows(
        self, rows: Sequence[Mapping[str, Any]], *, tenant: Tenant | None
    ) -> list[ImportRow]:
        """What each row would do. `tenant`: whose rows the person may bring, None: anybody's."""
        ...

    def save_rows(self, rows: Sequence[Mapping[str, Any]], *, reason: str) -> None:
        """Within a transaction, after a check that found no problem.

        Raises Refusal where somebody was faster.
        """
        ...


class MemoizedCapabilities:
    """The running system, each backend probed once for a whole file."""

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
        "mode",
        "holdout",
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
        """A half is `on` or `off`; an empty cell is null where the setting may be,
        else left out."""
        row: dict[str, Any] = {}
        halves: dict[str, dict[str, Any]] = {half: {} for half in SECTION_SETTINGS}
        for column, cell in cells.items():
            half, _, name = column.partition(".")
            if name and half in SECTION_SETTINGS:
                if cell or type(None) in _list_field_types(SECTION_SETTINGS[half], name):
                    halves[half][name] = _parse_cell(cell)
            elif column not in SECTION_SETTINGS and (cell or column == "tenant"):
                row[column] = (cell or None) if column in TEXT_COLUMNS else _parse_cell(cell)
        for half, settings in halves.items():
            said = cells.get(half, "")
            if said not in {"on", "off", ""}:
                row[half] = said  # the rules say what it must be
            elif said:
                row[half] = settings if said == "on" else None
        return row

    def check_rows(
        self, rows: Sequence[Mapping[str, Any]], *, tenant: Tenant | None
    ) -> list[ImportRow]:
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
            key = name, slug = str(row.get("plan_name")), row.get("tenant")
            called = name if slug is None else f"{name} of {slug}"
            if slug is not None and (not isinstance(slug, str) or slug not in tenants):
                problems = {"tenant": "No such tenant. Empty, or null: the platform's."}
            elif tenant is not None and slug != tenant.slug:
                problems = {"tenant": f"You may bring plans of {tenant.slug} alone."}
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
        return ImportRow(
            number,
            called,
            changes=_relabel_changes(list_field_changes(Plan, {}, plan, drafted), FIELD_LABELS),
        )

    def save_rows(self, rows: Sequence[Mapping[str, Any]], *, reason: str) -> None:
        for row in rows:
            owner = Tenant.objects.get(slug=row["tenant"]) if row.get("tenant") else None
            if Plan.objects.filter(tenant=owner, name=row["plan_name"]).exists():
                services.change_plan(
                    owner=owner,
                    name=row["plan_name"],
                    body={**_build_plan_body(row), "reason": reason},
                )
            else:
                services.create_plan(owner=owner, body=_build_plan_body(row), reason=reason)


class PriceResource:
    name = "prices"
    columns = ("provider", "model", *AMOUNT_COLUMNS, "terms")

    def export_rows(self, rows: Iterable[ModelPrice]) -> list[dict[str, Any]]:
        return [
            {"provider": row.provider, "model": row.model}
            | {
                name: None if (amount := getattr(row, name)) is None else f"{amount:f}"
                for name in AMOUNT_COLUMNS
            }
            | {"terms": row.terms}
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
            price = known.get(key)
            form = _build_price_form(row, copy(price) if price else None)
            problems = {name: "Unknown field." for name in row if name not in self.columns} | {
                name: " ".join(map(str, texts)) for name, texts in form.errors.items()
            }
            if key in seen:
                problems["model"] = "This model stands in the file twice."
            seen.add(key)
            differs = (
                list_field_changes(ModelPrice, form.fields, price, form.instance)
                if price and not problems
                else []
            )
            found.append(
                ImportRow(
                    number,
                    "/".join(key),
                    is_new=price is None and not problems,
                    changes=differs,
                    problems=problems,
                )
            )
        return found

    def save_rows(self, rows: Sequence[Mapping[str, Any]], *, reason: str) -> None:
        known = {
            (price.provider, price.model): price for price in ModelPrice.objects.select_for_update()
        }
        for row in rows:
            form = _build_price_form(row, known.get((str(row["provider"]), str(row["model"]))))
            if form.is_valid() and form.has_changed():
                form.instance.edited = True
                form.instance._change_reason = reason
                form.save()


def _build_price_form(row: Mapping[str, Any], price: ModelPrice | None) -> ModelPriceForm:
    """JSON's numbers go in as they were written; what is no number or text is not taken for one."""
    data = {}
    for name in PriceResource.columns:
        value = row.get(name)
        if name == "terms" and name not in row:  # of a file from before there were any
            value = price.terms if price else ""
        data[name] = (
            ""
            if value is None
            else _format_decimal(value)
            if isinstance(value, Decimal)
            else str(value)
        )
    return ModelPriceForm(data, instance=price)


def _format_decimal(number: Decimal) -> str:
    """In plain notation, unless that would be a page of zeros:
    then the form refuses it as it stands."""
    if not number:
        return "0"
    return f"{number:f}" if abs(number.adjusted()) <= MAX_PRICE_EXPONENT else str(number)


def _build_plan_body(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row as the API's body: the numbers of a file become
    what JSON's parser makes of them there."""
    return {name: _convert_decimals(value) for name, value in row.items() if name != "tenant"}


def _convert_decimals(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _convert_decimals(each) for name, each in value.items()}
    return float(value) if isinstance(value, Decimal) else value


def _list_field_types(shape: type[Any], name: str) -> tuple[Any, ...]:
    hint = get_type_hints(shape).get(name)
    return getattr(hint, "__args__", (hint,))


def _parse_cell(cell: str) -> Any:
    """What a cell says: null, true, false, a number, or its text."""
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
