"""Periods, and changes between two of them, in words. Pure: times are passed in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from stats.reports.filters import ReportFilter
from stats.time_grains import DAY, HOUR

PERIOD_NAMES: Final = {
    "today": "Today",
    "24h": "24 hours",
    "7d": "7 days",
    "30d": "30 days",
    "90d": "90 days",
    "month": "This month",
}
PERIOD_PHRASES: Final = {
    "today": "today",
    "24h": "in the last 24 hours",
    "7d": "in the last 7 days",
    "30d": "in the last 30 days",
    "90d": "in the last 90 days",
    "month": "this month",
}


def describe_period(params: Mapping[str, str], asked: ReportFilter) -> str:
    """Describe the period, such as `this month` or `from 1 Nov 2026 to 3 Nov 2026`."""
    named = PERIOD_PHRASES.get(params.get("range", ""))
    return named or f"from {format_moment(asked.start)} to {format_moment(asked.end, last=True)}"


def format_moment(at: datetime, *, last: bool = False) -> str:
    """Format a midnight as its day, or with `last` as the day it ends; else the minute, in UTC."""
    if at.hour == at.minute == 0:
        day = at - timedelta(days=1) if last else at
        return f"{day.day} {day:%b %Y}"
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def format_point_time(at: datetime, granularity: str) -> str:
    """Format the time of a row in a table."""
    if granularity == DAY:
        return f"{at.day} {at:%b %Y}"
    return f"{at.day} {at:%b, %H}:00" if granularity == HOUR else f"{at.day} {at:%b, %H:%M}"


@dataclass(frozen=True, slots=True)
class FigureChange:
    """The change of a figure since the previous period.

    `share`: of the earlier figure, None if that was zero; `is_increase` None: unchanged.
    """

    difference: Decimal
    share: float | None
    is_increase: bool | None

    @property
    def size(self) -> Decimal:
        return abs(self.difference)


def compute_change(
    now: Decimal | float | None, before: Decimal | float | None
) -> FigureChange | None:
    """Compute the change between two figures; None if either is unknown."""
    if now is None or before is None:
        return None
    by = Decimal(now) - Decimal(before)
    return FigureChange(
        by, float(by / abs(Decimal(before))) if before else None, None if not by else by > 0
    )
