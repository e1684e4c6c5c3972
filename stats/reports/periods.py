"""Parse the period of URL parameters: `from` and `to`, or `range`; in whole minutes (UTC)."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from plans.api_errors import ApiError
from stats.time_grains import DAY, GRAIN_LENGTHS, HOUR, MINUTE, ceil_to_grain, floor_to_grain

RANGE_NAMES: Final = ("today", "24h", "7d", "30d", "90d", "month")
MINUTE_RETENTION: Final = timedelta(days=7)  # older ones may be pruned; hours and days stay
_DATE_PATTERN: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME_PATTERN: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?([Zz]|"
    r"[+-][0-9]{2}:[0-9]{2})?"
)
_ACCEPTED_YEARS: Final = range(2000, 2100)


def parse_period(
    params: Mapping[str, str], *, since: datetime | None = None
) -> tuple[datetime, datetime]:
    """Parse start and end; the default is from `since` on, else 30 days. Raises ApiError."""
    now = datetime.now(UTC)
    if named := params.get("range"):
        if params.get("from") or params.get("to"):
            raise ApiError("Give either range, or from and to.", param="range")
        return _parse_range(named, now)
    if params.get("from"):
        return _parse_bounds(params["from"], params.get("to", ""), now)
    if params.get("to"):
        raise ApiError(
            (
                "`to` needs a `from`: a date such as 2026-11-24, or a time such as "
                "2026-11-24T13:00:00Z."
            ),
            param="from",
        )
    return (
        (floor_to_grain(since, DAY), ceil_to_grain(now, MINUTE))
        if since
        else _parse_range("30d", now)
    )


def has_pruned_minutes(at: datetime) -> bool:
    """Whether rollups by minute may be pruned at that time."""
    return at < datetime.now(UTC) - MINUTE_RETENTION


def _parse_range(named: str, now: datetime) -> tuple[datetime, datetime]:
    """Compute the start and end of a named range, up to the end of this minute or hour."""
    today = floor_to_grain(now, DAY)
    starts = {"today": today, "month": today.replace(day=1)} | {
        f"{days}d": today - timedelta(days=days - 1) for days in (7, 30, 90)
    }
    if named == "24h":
        return ceil_to_grain(now, MINUTE) - timedelta(days=1), ceil_to_grain(now, MINUTE)
    if named not in starts:
        raise ApiError(f"Unknown range. Accepted: {', '.join(RANGE_NAMES)}.", param="range")
    start = starts[named]
    # This hour if the previous period begins where minutes may be pruned.
    end = ceil_to_grain(
        now, HOUR if has_pruned_minutes(start - (now - start) - GRAIN_LENGTHS[HOUR]) else MINUTE
    )
    return start, max(end, start + GRAIN_LENGTHS[MINUTE])


def _parse_bounds(first: str, last: str, now: datetime) -> tuple[datetime, datetime]:
    start, end = (
        _parse_moment(first, "from"),
        _parse_moment(last, "to") if last else ceil_to_grain(now, MINUTE),
    )
    if start >= end:
        raise ApiError(
            "The period is upside down or empty: `to` must be at least a minute after `from`.",
            param="to" if last else "from",
        )
    for name, at in (("from", start), ("to", end)):
        if at != floor_to_grain(at, HOUR) and has_pruned_minutes(at):
            days = MINUTE_RETENTION.days
            raise ApiError(
                (
                    f"`{name}` is more than {days} days ago, where only whole hours are "
                    f"kept: {_suggest_hours(at)}."
                ),
                param=name,
            )
    return start, end


def _suggest_hours(at: datetime) -> str:
    before, after = floor_to_grain(at, HOUR), ceil_to_grain(at, HOUR)
    return f"use {before:%Y-%m-%dT%H:%MZ} or {after:%Y-%m-%dT%H:%MZ}"


def _parse_moment(text: str, name: str) -> datetime:
    """Parse a time, by default in UTC, or a date: its first moment, or as `to` its end."""
    whole_day = bool(_DATE_PATTERN.fullmatch(text))
    try:
        if not whole_day and not _TIME_PATTERN.fullmatch(text):
            raise ValueError
        at = datetime.fromisoformat(text.upper())
        # Moved to the start of the minute, so that adjacent periods still contain every request
        # once.
        at = floor_to_grain(at if at.tzinfo else at.replace(tzinfo=UTC), MINUTE)
    except (ValueError, OverflowError):
        at = datetime.min.replace(tzinfo=UTC)
    if at.year not in _ACCEPTED_YEARS:
        raise ApiError(
            (
                f"`{name}` must be a date such as 2026-11-24 or an RFC 3339 time such as "
                "2026-11-24T13:00:00Z (a plus sign in a URL is %2B), of the years "
                f"{_ACCEPTED_YEARS.start} "
                f"to {_ACCEPTED_YEARS.stop - 1}."
            ),
            param=name,
        )
    return at + timedelta(days=1) if whole_day and name == "to" else at
