"""Totals over time, by group, or both, for charts and tables.

The parts of a period add up to its totals.
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
from stats.reports.filters import ReportFilter, check_point_count
from stats.reports.rollup_query import FULL_CUT_COLUMNS
from stats.reports.totals import Totals, build_expressions, build_totals
from stats.time_grains import GRAIN_LENGTHS, floor_to_grain

# The column that identifies a group, and the one that names it.
_GROUP_COLUMNS: Final = {
    "tenant": ("tenant_id", "tenant"),
    "plan": ("plan_id", "plan"),
    "key": ("key_id", "key"),
    "route": ("route", "route"),
    "model": ("model", "model"),
    "tier": ("tier", "tier"),
}


@dataclass(frozen=True, slots=True)
class SeriesPoint:
    """The totals of the minute, hour or day that starts at `at`, clipped to the period."""

    at: datetime
    totals: Totals


@dataclass(frozen=True, slots=True)
class GroupTotals:
    """The totals of a group.

    `id`: what the filter of the same name takes (a tenant's slug, the number of a plan or key, else
    the name); "": none.
    """

    id: str
    name: str
    totals: Totals


@dataclass(frozen=True, slots=True)
class GroupPoint:
    """The totals of one group at one point."""

    at: datetime
    id: str
    name: str
    totals: Totals


def list_points(asked: ReportFilter) -> list[SeriesPoint]:
    """List the points, oldest first, empty ones included, without durations.

    Raises ApiError for more than MAX_SERIES_POINTS.
    """
    step, at = (
        GRAIN_LENGTHS[check_point_count(asked).granularity],
        floor_to_grain(asked.start, asked.granularity),
    )
    found = {
        row["since"]: build_totals(row) for row in _query_rows(asked, since=_truncate_time(asked))
    }
    whole = []
    while at < asked.end:
        whole.append(SeriesPoint(at, found.get(at, Totals())))
        at += step
    return whole


def list_groups(asked: ReportFilter) -> list[GroupTotals]:
    """List the groups by `asked.group_by`: losses first, then by savings; without durations."""
    return rank_groups(asked, [asked.group_by])[asked.group_by]


def rank_groups(asked: ReportFilter, names: Sequence[str]) -> dict[str, list[GroupTotals]]:
    """List the groups by each of these names."""
    found: dict[str, list[GroupTotals]] = {}
    # One query per cut: reading the rows takes the time, not summing them.
    full = [name for name in names if _GROUP_COLUMNS[name][0] in FULL_CUT_COLUMNS]
    for part in (full, [name for name in names if name not in full]):
        columns = {name: _GROUP_COLUMNS[name] for name in part}
        rows = (
            asked.rollup_query.query_rollups(by=tuple(column for column, _ in columns.values()))
            if part
            else Rollup.objects.none()
        )
        titles = {
            f"{name}_title": Max(title)
            for name, (column, title) in columns.items()
            if title != column
        }
        values = {f"{name}_value": F(column) for name, (column, _) in columns.items()}
        sums = list(
            rows.annotate(**values).values(*values).annotate(**titles, **build_expressions())
        )
        found |= {
            name: _build_groups(replace(asked, group_by=name), _merge_rows(sums, name))
            for name in part
        }
    return {name: found[name] for name in names}


def _merge_rows(rows: Iterable[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Merge rows of several groupings into those of one."""
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
            else {each: _merge_values(each, known[each], mine[each]) for each in mine}
        )
    return list(found.values())


def _merge_values(name: str, one: Any, other: Any) -> Any:
    """Merge two values of a column; None is that of no row."""
    if name == "value" or one is None or other is None:
        return other if one is None else one
    if name == "sum_first":
        return min(one, other)
    return max(one, other) if name in ("sum_last", "title") else one + other


def _build_groups(asked: ReportFilter, rows: list[dict[str, Any]]) -> list[GroupTotals]:
    label = _build_labeler(asked, rows)
    found = [GroupTotals(*label(row), build_totals(row)) for row in rows]
    return sorted(found, key=_build_rank_key)


def _build_rank_key(group: GroupTotals) -> tuple[bool, Decimal, int, str, str]:
    """Build the sort key: the largest loss first, then the largest savings."""
    # A loss must be acted on, so it comes first.
    saved = group.totals.saved or Decimal(0)
    lost = saved < 0
    return (not lost, saved if lost else -saved, -group.totals.requests, group.name, group.id)


def list_group_points(asked: ReportFilter) -> list[GroupPoint]:
    """List groups by point, oldest first, without empty ones. Raises ApiError as `list_points`."""
    rows = _query_rows(
        check_point_count(asked),
        since=_truncate_time(asked),
        value=F(_GROUP_COLUMNS[asked.group_by][0]),
    )
    label = _build_labeler(asked, rows)
    found = [GroupPoint(row["since"], *label(row), build_totals(row)) for row in rows]
    return sorted(found, key=lambda cell: (cell.at, cell.name, cell.id))


def _query_rows(asked: ReportFilter, **by: Any) -> list[dict[str, Any]]:
    """Query the sums by the values of the expressions `by`.

    The newest name of a group is its `title`.
    """
    column, name = _GROUP_COLUMNS[asked.group_by] if "value" in by else ("", "")
    rows = asked.rollup_query.query_rollups(
        grain=asked.granularity if "since" in by else "", by=(column,)
    )
    titles = {"title": Max(name)} if name != column else {}
    return list(rows.annotate(**by).values(*by).annotate(**titles, **build_expressions()))


def _truncate_time(asked: ReportFilter) -> Trunc:
    return Trunc("at", asked.granularity, tzinfo=UTC)


def _build_labeler(
    asked: ReportFilter, rows: list[dict[str, Any]]
) -> Callable[[dict[str, Any]], tuple[str, str]]:
    """Build a function from a row to its id and name."""
    models: dict[str, tuple[Any, str]] = {
        "tenant": (Tenant, "slug"),
        "plan": (Plan, "name"),
        "key": (VirtualKey, "name"),
    }
    if asked.group_by not in models:
        return lambda row: (row["value"], row["value"])
    model, field = models[asked.group_by]
    # Names as they are now, else as the requests recorded them.
    now: dict[int, str] = dict(
        model.objects.filter(pk__in=[row["value"] for row in rows]).values_list("pk", field)
    )

    def label(row: dict[str, Any]) -> tuple[str, str]:
        number, name = row["value"], now.get(row["value"], row["title"])
        return (name if asked.group_by == "tenant" else str(number or "")), name

    return label
