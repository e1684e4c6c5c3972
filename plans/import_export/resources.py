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
from plans.errors import InvalidPlan, Refusal
from plans.field_changes import Change, changes
from plans.fields import LABELS
from plans.forms.model_forms import ModelPriceForm
from plans.import_export.formats import escaped, unstorable
from plans.models import ModelPrice, Plan, Tenant
from plans.pricing import OWN
from plans.snapshot import CacheSettings, CompressionSettings

HALVES: Final = {"compression": CompressionSettings, "cache": CacheSettings}
NOT_OURS: Final = frozenset({"version", "created_at", "updated_at"})
TEXTS: Final = frozenset({"plan_name", "tenant", "mode"})
AMOUNTS: Final = OWN
MAX_POWER = 30  # of ten, of a price in a file


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file.

    `number` as people count, from 1; `problems`: field to what is wrong with it.
    """

    number: int
    name: str
    new: bool = False
    changes: list[Change] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def same(self) -> bool:
        return not (self.new or self.changes or self.problems)


class Exchange(Protocol):
    """How one kind of row goes out and in."""

    name: str

    @property
    def columns(self) -> Sequence[str]: ...

    def out(self, rows: Iterable[Any]) -> list[dict[str, Any]]:
        """As an export has them in JSON."""
        ...

    def flat(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Such a row as one line of CSV."""
        ...

    def unflat(self, cells: Mapping[str, str]) -> dict[str, Any]:
        """A line of CSV as such a row."""
        ...

    def check(self, rows: Sequence[Mapping[str, Any]], *, tenant: Tenant | None) -> list[Row]:
        """What each row would do. `tenant`: whose rows the person may bring, None: anybody's."""
        ...

    def save(self, rows: Sequence[Mapping[str, Any]], *, reason: str) -> None:
        """Within a transaction, after a check that found no problem.

        Raises Refusal where somebody was faster.
        """
        ...


class Remembering:
    """The running system, each backend probed once for a whole file."""

    def __init__(self, system: capabilities.Capabilities) -> None:
        self._system = system
        self.refusal = cache(system.refusal)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._system, name)


class Plans:
    name = "plans"
    columns = (
        "plan_name",
        "tenant",
        "mode",
        "holdout",
        *(
            column
            for half, shape in HALVES.items()
            for column in (half, *(f"{half}.{name}" for name in get_type_hints(shape)))
        ),
    )

    def out(self, rows: Iterable[Plan]) -> list[dict[str, Any]]:
        return [
            {
                name: value
                for name, value in PlanSerializer(plan).data.items()
                if name not in NOT_OURS
            }
            for plan in rows
        ]

    def flat(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        cells = {}
        for name, value in row.items():
            if name in HALVES:
                cells[name] = "off" if value is None else "on"
                cells |= {f"{name}.{field}": each for field, each in (value or {}).items()}
            else:
                cells[name] = value
        return cells

    def unflat(self, cells: Mapping[str, str]) -> dict[str, Any]:
        """A half is `on` or `off`; an empty cell is null where the setting may be,
        else left out."""
        row: dict[str, Any] = {}
        halves: dict[str, dict[str, Any]] = {half: {} for half in HALVES}
        for column, cell in cells.items():
            half, _, name = column.partition(".")
            if name and half in HALVES:
                if cell or type(None) in _kinds(HALVES[half], name):
                    halves[half][name] = _value(cell)
            elif column not in HALVES and (cell or column == "tenant"):
                row[column] = (cell or None) if column in TEXTS else _value(cell)
        for half, settings in halves.items():
            said = cells.get(half, "")
            if said not in {"on", "off", ""}:
                row[half] = said  # the rules say what it must be
            elif said:
                row[half] = settings if said == "on" else None
        return row

    def check(self, rows: Sequence[Mapping[str, Any]], *, tenant: Tenant | None) -> list[Row]:
        system: Any = Remembering(capabilities.current())
        tenants = {each.slug: each for each in Tenant.objects.all()}
        found, seen = [], set()
        for number, row in enumerate(rows, 1):
            if problems := unstorable(row):
                found.append(Row(number, escaped(str(row.get("plan_name"))), problems=problems))
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
                found.append(self._check(Row(number, called), row, tenants.get(slug or ""), system))
                continue
            found.append(Row(number, called, problems=problems))
        return found

    def _check(self, so_far: Row, row: Mapping[str, Any], owner: Tenant | None, system: Any) -> Row:
        number, called, name = so_far.number, so_far.name, row.get("plan_name")
        known = isinstance(name, str) and validation.NAME.fullmatch(name)
        plan = Plan.objects.filter(tenant=owner, name=name).first() if known else None
        try:
            draft = validation.read(
                _body(row),
                capabilities=capabilities.of(owner, system),
                base=services.draft_of(plan) if plan else None,
            )
        except InvalidPlan as refusal:
            return Row(number, called, problems=refusal.problems)
        if plan is None:
            return Row(number, called, new=True)
        drafted = copy(plan)
        for column, value in services.columns(draft).items():
            setattr(drafted, column, value)
        return Row(number, called, changes=_named(changes(Plan, {}, plan, drafted), LABELS))

    def save(self, rows: Sequence[Mapping[str, Any]], *, reason: str) -> None:
        for row in rows:
            owner = Tenant.objects.get(slug=row["tenant"]) if row.get("tenant") else None
            if Plan.objects.filter(tenant=owner, name=row["plan_name"]).exists():
                services.change_plan(
                    owner=owner, name=row["plan_name"], body={**_body(row), "reason": reason}
                )
            else:
                services.create_plan(owner=owner, body=_body(row), reason=reason)


class Prices:
    name = "prices"
    columns = ("provider", "model", *AMOUNTS, "terms")

    def out(self, rows: Iterable[ModelPrice]) -> list[dict[str, Any]]:
        return [
            {"provider": row.provider, "model": row.model}
            | {
                name: None if (amount := getattr(row, name)) is None else f"{amount:f}"
                for name in AMOUNTS
            }
            | {"terms": row.terms}
            for row in rows
        ]

    def flat(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        return row

    def unflat(self, cells: Mapping[str, str]) -> dict[str, Any]:
        return {name: cell or None for name, cell in cells.items()}

    def check(self, rows: Sequence[Mapping[str, Any]], *, tenant: Tenant | None) -> list[Row]:
        if tenant is not None:
            raise PermissionDenied
        known = {(price.provider, price.model): price for price in ModelPrice.objects.all()}
        seen: set[tuple[str, str]] = set()
        found = []
        for number, row in enumerate(rows, 1):
            if strange := unstorable(row):
                found.append(
                    Row(
                        number,
                        escaped(f"{row.get('provider')}/{row.get('model')}"),
                        problems=strange,
                    )
                )
                continue
            key = str(row.get("provider")), str(row.get("model"))
            price = known.get(key)
            form = _price_form(row, copy(price) if price else None)
            problems = {name: "Unknown field." for name in row if name not in self.columns} | {
                name: " ".join(map(str, texts)) for name, texts in form.errors.items()
            }
            if key in seen:
                problems["model"] = "This model stands in the file twice."
            seen.add(key)
            differs = (
                changes(ModelPrice, form.fields, price, form.instance)
                if price and not problems
                else []
            )
            found.append(
                Row(
                    number,
                    "/".join(key),
                    new=price is None and not problems,
                    changes=differs,
                    problems=problems,
                )
            )
        return found

    def save(self, rows: Sequence[Mapping[str, Any]], *, reason: str) -> None:
        known = {
            (price.provider, price.model): price for price in ModelPrice.objects.select_for_update()
        }
        for row in rows:
            form = _price_form(row, known.get((str(row["provider"]), str(row["model"]))))
            if form.is_valid() and form.has_changed():
                form.instance.edited = True
                form.instance._change_reason = reason
                form.save()


def _price_form(row: Mapping[str, Any], price: ModelPrice | None) -> ModelPriceForm:
    """JSON's numbers go in as they were written; what is no number or text is not taken for one."""
    data = {}
    for name in Prices.columns:
        value = row.get(name)
        if name == "terms" and name not in row:  # of a file from before there were any
            value = price.terms if price else ""
        data[name] = (
            "" if value is None else _written(value) if isinstance(value, Decimal) else str(value)
        )
    return ModelPriceForm(data, instance=price)


def _written(number: Decimal) -> str:
    """In plain notation, unless that would be a page of zeros:
    then the form refuses it as it stands."""
    if not number:
        return "0"
    return f"{number:f}" if abs(number.adjusted()) <= MAX_POWER else str(number)


def _body(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row as the API's body: the numbers of a file become
    what JSON's parser makes of them there."""
    return {name: _plain(value) for name, value in row.items() if name != "tenant"}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return float(value) if isinstance(value, Decimal) else value


def _kinds(shape: type[Any], name: str) -> tuple[Any, ...]:
    hint = get_type_hints(shape).get(name)
    return getattr(hint, "__args__", (hint,))


def _value(cell: str) -> Any:
    """What a cell says: null, true, false, a number, or its text."""
    if cell in {"", "true", "false"}:
        return {"": None, "true": True, "false": False}[cell]
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return cell


def _named(found: list[Change], labels: Mapping[str, str]) -> list[Change]:
    return [
        Change(**asdict(change) | {"label": labels.get(change.field, change.label)})
        for change in found
    ]


__all__ = ["Exchange", "Plans", "Prices", "Refusal", "Row"]
