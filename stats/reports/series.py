"""Totals over time, by group, or both: what charts and tables show.

Parts of a period that together are its totals.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from django.db.models import F, Max
from django.db.models.functions import Trunc

from plans.models import Plan, Tenant, VirtualKey
from stats.models.rollups import Rollup
from stats.reports.filters import Asked, bounded
from stats.reports.rollup_query import FULL_ONLY
from stats.reports.totals import Totals, expressions, totals_of
from stats.time_grains import STEPS, floor

# The column that tells the groups apart, and the one that names them.
_COLUMNS: Final = {
    "tenant": ("tenant_id", "tenant"),
    "plan": ("plan_id", "plan"),
    "key": ("key_id", "key"),
    "route": ("route", "route"),
    "model": ("model", "model"),
    "tier": ("tier", "tier"),
}


@dataclass(frozen=True, slots=True)
class Point:
    """The minute, hour or day that starts there;
    the first and last hold what of them lies within the period."""

    at: datetime
    totals: Totals


@dataclass(frozen=True, slots=True)
class Group:
    """`id`: what the filter of the same name takes (a tenant's slug, the number of a plan
    or key, else the name); "": none."""

    id: str
    name: str
    totals: Totals


@dataclass(frozen=True, slots=True)
class Cell:
    """One group's part of one point."""

    at: datetime
    id: str
    name: str
    totals: Totals


def points(asked: Asked) -> list[Point]:
    """Oldest first, quiet ones included.

    Totals have no durations. Raises Refusal for more than `asked.MAX_POINTS`.
    """
    step, at = STEPS[bounded(asked).granularity], floor(asked.start, asked.granularity)
    found = {row["since"]: totals_of(row) for row in _rows(asked, since=_since(asked))}
    whole = []
    while at < asked.end:
        whole.append(Point(at, found.get(at, Totals())))
        at += step
    return whole


def groups(asked: Asked) -> list[Group]:
    """By `asked.group_by`: those that lost money first, then those that saved most.

    Totals have no durations.
    """
    return rankings(asked, [asked.group_by])[asked.group_by]


def rankings(asked: Asked, names: Sequence[str]) -> dict[str, list[Group]]:
    """`groups` by each of these names.

    One query for those that one cut tells apart: reading the rows takes the time, not adding up.
    """
    found: dict[str, list[Group]] = {}
    full = [name for name in names if _COLUMNS[name][0] in FULL_ONLY]
    for part in (full, [name for name in names if name not in full]):
        columns = {name: _COLUMNS[name] for name in part}
        rows = (
            asked.wanted.rollups(by=tuple(column for column, _ in columns.values()))
            if part
            else Rollup.objects.none()
        )
        titles = {
            f"{name}_title": Max(title)
            for name, (column, title) in columns.items()
            if title != column
        }
        values = {f"{name}_value": F(column) for name, (column, _) in columns.items()}
        sums = list(rows.annotate(**values).values(*values).annotate(**titles, **expressions()))
        found |= {
            name: _grouped(replace(asked, group_by=name), _folded(sums, name)) for name in part
        }
    return {name: found[name] for name in names}


def _folded(rows: Iterable[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Rows of several groupings, added up to those of one."""
    found: dict[Any, dict[str, Any]] = {}
    for row in rows:
        mine = {each: value for each, value in row.items() if each.startswith("sum_")}
        mine |= {"value": row[f"{name}_value"]} | (
            {"title": row[f"{name}_title"]} if f"{name}_title" in row else {}
        )
        known = found.get(mine["value"])
        found[mine["value"]] = (
            mine
            if known is None
            else {each: _either(each, known[each], mine[each]) for each in mine}
        )
    return list(found.values())


def _either(name: str, one: Any, other: Any) -> Any:
    """Both values of a column in one; None is that of no row."""
    if name == "value" or one is None or other is None:
        return other if one is None else one
    if name == "sum_first":
        return min(one, other)
    return max(one, other) if name in ("sum_last", "title") else one + other


def _grouped(asked: Asked, rows: list[dict[str, Any]]) -> list[Group]:
    label = _labels(asked, rows)
    found = [Group(*label(row), totals_of(row)) for row in rows]
    return sorted(found, key=_rank)


def _rank(group: Group) -> tuple[bool, Decimal, int, str, str]:
    """A loss must be acted on, so the largest comes first; then what saved most."""
    saved = group.totals.saved or Decimal(0)
    lost = saved < 0
    return (not lost, saved if lost else -saved, -group.totals.requests, group.name, group.id)


def cells(asked: Asked) -> list[Cell]:
    """Groups by point, oldest first, quiet ones left out. Raises Refusal as `points` does."""
    rows = _rows(bounded(asked), since=_since(asked), value=F(_COLUMNS[asked.group_by][0]))
    label = _labels(asked, rows)
    found = [Cell(row["since"], *label(row), totals_of(row)) for row in rows]
    return sorted(found, key=lambda cell: (cell.at, cell.name, cell.id))


def _rows(asked: Asked, **by: Any) -> list[dict[str, Any]]:
    """The sums for each value of the expressions `by`,
    with the newest name of a group as `title`."""
    column, name = _COLUMNS[asked.group_by] if "value" in by else ("", "")
    rows = asked.wanted.rollups(grain=asked.granularity if "since" in by else "", by=(column,))
    titles = {"title": Max(name)} if name != column else {}
    return list(rows.annotate(**by).values(*by).annotate(**titles, **expressions()))


def _since(asked: Asked) -> Trunc:
    return Trunc("at", asked.granularity, tzinfo=UTC)


def _labels(
    asked: Asked, rows: list[dict[str, Any]]
) -> Callable[[dict[str, Any]], tuple[str, str]]:
    """A row's id and name: as they are now, else as the requests had them."""
    models: dict[str, tuple[Any, str]] = {
        "tenant": (Tenant, "slug"),
        "plan": (Plan, "name"),
        "key": (VirtualKey, "name"),
    }
    if asked.group_by not in models:
        return lambda row: (row["value"], row["value"])
    model, field = models[asked.group_by]
    now: dict[int, str] = dict(
        model.objects.filter(pk__in=[row["value"] for row in rows]).values_list("pk", field)
    )

    def label(row: dict[str, Any]) -> tuple[str, str]:
        number, name = row["value"], now.get(row["value"], row["title"])
        return (name if asked.group_by == "tenant" else str(number or "")), name

    return label
