"""The period that URL parameters name: `from` and `to`, or `range`.

Its ends are whole minutes (UTC).
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from plans.errors import Refusal
from stats.time_grains import DAY, HOUR, MINUTE, STEPS, ceil, floor

RANGES: Final = ("today", "24h", "7d", "30d", "90d", "month")
MINUTES_KEPT: Final = timedelta(days=7)  # older ones may be gone; hours and days stay
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?([Zz]|"
    r"[+-][0-9]{2}:[0-9]{2})?"
)
_YEARS: Final = range(2000, 2100)


def period(
    params: Mapping[str, str], *, since: datetime | None = None
) -> tuple[datetime, datetime]:
    """Start and end. Without parameters: from `since` on, else the last 30 days.

    Ends within a minute are moved to its start, so that periods that meet still hold every request
    once. Raises Refusal.
    """
    now = datetime.now(UTC)
    if named := params.get("range"):
        if params.get("from") or params.get("to"):
            raise Refusal("Give either range, or from and to.", param="range")
        return _range(named, now)
    if params.get("from"):
        return _between(params["from"], params.get("to", ""), now)
    if params.get("to"):
        raise Refusal(
            (
                "`to` needs a `from`: a date such as 2026-11-24, or a time such as "
                "2026-11-24T13:00:00Z."
            ),
            param="from",
        )
    return (floor(since, DAY), ceil(now, MINUTE)) if since else _range("30d", now)


def minutes_gone(at: datetime) -> bool:
    """Whether roll-ups by the minute may be gone from there."""
    return at < datetime.now(UTC) - MINUTES_KEPT


def _range(named: str, now: datetime) -> tuple[datetime, datetime]:
    """Up to now: to the end of this minute, or of this hour where the period before it is older
    than minutes are kept."""
    today = floor(now, DAY)
    starts = {"today": today, "month": today.replace(day=1)} | {
        f"{days}d": today - timedelta(days=days - 1) for days in (7, 30, 90)
    }
    if named == "24h":
        return ceil(now, MINUTE) - timedelta(days=1), ceil(now, MINUTE)
    if named not in starts:
        raise Refusal(f"Unknown range. Accepted: {', '.join(RANGES)}.", param="range")
    start = starts[named]
    end = ceil(now, HOUR if minutes_gone(start - (now - start) - STEPS[HOUR]) else MINUTE)
    return start, max(end, start + STEPS[MINUTE])


def _between(first: str, last: str, now: datetime) -> tuple[datetime, datetime]:
    start, end = _moment(first, "from"), _moment(last, "to") if last else ceil(now, MINUTE)
    if start >= end:
        raise Refusal(
            "The period is upside down or empty: `to` must be at least a minute after `from`.",
            param="to" if last else "from",
        )
    for name, at in (("from", start), ("to", end)):
        if at != floor(at, HOUR) and minutes_gone(at):
            days = MINUTES_KEPT.days
            raise Refusal(
                (
                    f"`{name}` is more than {days} days ago, where only whole hours are "
                    f"kept: {_hours(at)}."
                ),
                param=name,
            )
    return start, end


def _hours(at: datetime) -> str:
    return f"use {floor(at, HOUR):%Y-%m-%dT%H:%MZ} or {ceil(at, HOUR):%Y-%m-%dT%H:%MZ}"


def _moment(text: str, name: str) -> datetime:
    """A date is its first moment, or as `to` its end; a time without an offset is UTC."""
    whole_day = bool(_DATE.fullmatch(text))
    try:
        if not whole_day and not _TIME.fullmatch(text):
            raise ValueError
        at = datetime.fromisoformat(text.upper())
        at = floor(at if at.tzinfo else at.replace(tzinfo=UTC), MINUTE)
    except (ValueError, OverflowError):
        at = datetime.min.replace(tzinfo=UTC)
    if at.year not in _YEARS:
        raise Refusal(
            (
                f"`{name}` must be a date such as 2026-11-24 or an RFC 3339 time such as "
                f"2026-11-24T13:00:00Z (a plus sign in a URL is %2B), of the years {_YEARS.start} "
                f"to {_YEARS.stop - 1}."
            ),
            param=name,
        )
    return at + timedelta(days=1) if whole_day and name == "to" else at
