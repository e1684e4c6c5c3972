"""The rows of a report, the same in JSON and CSV:
a period, a group where one is asked for, and figures that never mix what was billed, served and
saved."""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from rest_framework import serializers

from stats.reports.filters import Asked
from stats.reports.series import cells, groups, points
from stats.reports.totals import Totals
from stats.time_grains import STEPS

Row = dict[str, str | int | None]
COUNTS: Final[Mapping[str, Callable[[Totals], int]]] = {
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
DOLLARS: Final[Mapping[str, Callable[[Totals], Decimal | None]]] = {
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
    """Of the requests from `from` on and before `to`.

    Tokens; US dollars as text, exact, null where nothing had a price.
    """

    def get_fields(self) -> dict[str, Any]:
        """As the row has them, in its order."""
        group = {
            "group": serializers.CharField(
                required=False, help_text="What the filter of that name takes; empty: none."
            ),
            "name": serializers.CharField(required=False),
        }
        counts = {name: serializers.IntegerField() for name in COUNTS}
        dollars = {name: serializers.CharField(allow_null=True) for name in DOLLARS}
        return {
            "from": serializers.DateTimeField(),
            "to": serializers.DateTimeField(),
            **group,
            **counts,
            **dollars,
        }


def series_rows(asked: Asked) -> list[Row]:
    """Oldest first; by group too where one is asked for, and then without those that are quiet.

    Raises Refusal as `series.points` does.
    """
    if asked.group_by:
        return [
            _row(*_part(asked, cell.at), cell.totals, (cell.id, cell.name)) for cell in cells(asked)
        ]
    return [_row(*_part(asked, point.at), point.totals) for point in points(asked)]


def group_rows(asked: Asked) -> list[Row]:
    """Of the whole period: groups that lost money first, then those that saved most."""
    return [
        _row(asked.start, asked.end, group.totals, (group.id, group.name))
        for group in groups(asked)
    ]


def whole_row(asked: Asked, totals: Totals) -> Row:
    return _row(asked.start, asked.end, totals)


def columns(asked: Asked) -> list[str]:
    """The names of a row's values, in order."""
    return ["from", "to", *(("group", "name") if asked.group_by else ()), *COUNTS, *DOLLARS]


def _part(asked: Asked, at: datetime) -> tuple[datetime, datetime]:
    """What of a point lies within the period."""
    return max(at, asked.start), min(at + STEPS[asked.granularity], asked.end)


def _row(
    start: datetime, end: datetime, totals: Totals, group: tuple[str, str] | None = None
) -> Row:
    named: Row = {"group": group[0], "name": group[1]} if group else {}
    counts = {name: value(totals) for name, value in COUNTS.items()}
    dollars = {name: _text(value(totals)) for name, value in DOLLARS.items()}
    return {"from": _utc(start), "to": _utc(end), **named, **counts, **dollars}


def _utc(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _text(dollars: Decimal | None) -> str | None:
    return None if dollars is None else f"{dollars:f}"
