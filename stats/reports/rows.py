"""The rows of a report, the same in JSON and CSV: a period, a group, and figures.

The figures never mix what was billed, served and saved.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from rest_framework import serializers

from stats.reports.filters import ReportFilter
from stats.reports.series import list_group_points, list_groups, list_points
from stats.reports.totals import Totals
from stats.time_grains import GRAIN_LENGTHS

ReportRow = dict[str, str | int | None]
COUNT_COLUMNS: Final[Mapping[str, Callable[[Totals], int]]] = {
    "requests": lambda totals: totals.requests,
    "cache_hits": lambda totals: totals.hits,
    "exact_hits": lambda totals: totals.exact,
    "semantic_hits": lambda totals: totals.semantic,
    "misses": lambda totals: totals.misses,
    "bypassed": lambda totals: totals.bypassed,
    "failed": lambda totals: totals.failed,
    "unpriced_requests": lambda totals: totals.unpriced,
    "estimated_requests": lambda totals: totals.estimated,
    "bill_unknown_requests": lambda totals: totals.bill_unknown,
    "asked_tokens": lambda totals: totals.asked_tokens,
    "sent_tokens": lambda totals: totals.sent_tokens,
    "cached_tokens": lambda totals: totals.cached_tokens,
    "completion_tokens": lambda totals: totals.completion_tokens,
    "served_tokens": lambda totals: totals.served_tokens,
    "tokens_saved": lambda totals: totals.tokens_saved,
    "tokens_saved_exact": lambda totals: totals.tokens_saved_exact,
    "tokens_saved_semantic": lambda totals: totals.tokens_saved_semantic,
    "tokens_saved_compression": lambda totals: totals.tokens_saved_compression,
}
DOLLAR_COLUMNS: Final[Mapping[str, Callable[[Totals], Decimal | None]]] = {
    "would_usd": lambda totals: totals.would_cost,
    "billed_usd": lambda totals: totals.billed_cost,
    "spent_usd": lambda totals: totals.spent_cost,
    "saved_usd": lambda totals: totals.saved,
    "saved_exact_usd": lambda totals: totals.saved_exact,
    "saved_semantic_usd": lambda totals: totals.saved_semantic,
    "saved_compression_usd": lambda totals: totals.saved_compression,
    "billed_failed_usd": lambda totals: totals.billed_failed,
    "billed_shadow_usd": lambda totals: totals.shadow_billed,
}


class RowSerializer(serializers.Serializer[Any]):
    """Figures of the requests from `from` on and before `to`.

    Tokens; US dollars as text, exact, null if nothing had a price.
    """

    def get_fields(self) -> dict[str, Any]:
        """Return the fields in the order of the row."""
        group = {
            "group": serializers.CharField(
                required=False, help_text="What the filter of that name takes; empty: none."
            ),
            "name": serializers.CharField(required=False),
        }
        counts = {name: serializers.IntegerField() for name in COUNT_COLUMNS}
        dollars = {name: serializers.CharField(allow_null=True) for name in DOLLAR_COLUMNS}
        return {
            "from": serializers.DateTimeField(),
            "to": serializers.DateTimeField(),
            **group,
            **counts,
            **dollars,
        }


def build_series_rows(asked: ReportFilter) -> list[ReportRow]:
    """Build a row per point, oldest first, or per point and group without empty ones.

    Raises ApiError as `list_points` does.
    """
    if asked.group_by:
        return [
            _build_row(*_clip_to_period(asked, cell.at), cell.totals, (cell.id, cell.name))
            for cell in list_group_points(asked)
        ]
    return [
        _build_row(*_clip_to_period(asked, point.at), point.totals) for point in list_points(asked)
    ]


def build_group_rows(asked: ReportFilter) -> list[ReportRow]:
    """Build a row per group for the whole period: losses first, then by savings."""
    return [
        _build_row(asked.start, asked.end, group.totals, (group.id, group.name))
        for group in list_groups(asked)
    ]


def build_total_row(asked: ReportFilter, totals: Totals) -> ReportRow:
    return _build_row(asked.start, asked.end, totals)


def list_columns(asked: ReportFilter) -> list[str]:
    """List the names of a row's values, in order."""
    return [
        "from",
        "to",
        *(("group", "name") if asked.group_by else ()),
        *COUNT_COLUMNS,
        *DOLLAR_COLUMNS,
    ]


def _clip_to_period(asked: ReportFilter, at: datetime) -> tuple[datetime, datetime]:
    """Return the part of a point that lies within the period."""
    return max(at, asked.start), min(at + GRAIN_LENGTHS[asked.granularity], asked.end)


def _build_row(
    start: datetime, end: datetime, totals: Totals, group: tuple[str, str] | None = None
) -> ReportRow:
    named: ReportRow = {"group": group[0], "name": group[1]} if group else {}
    counts = {name: value(totals) for name, value in COUNT_COLUMNS.items()}
    dollars = {name: _format_dollars(value(totals)) for name, value in DOLLAR_COLUMNS.items()}
    return {"from": _format_utc(start), "to": _format_utc(end), **named, **counts, **dollars}


def _format_utc(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _format_dollars(dollars: Decimal | None) -> str | None:
    return None if dollars is None else f"{dollars:f}"
