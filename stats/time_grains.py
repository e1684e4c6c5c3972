"""Minutes, hours and days: the grains of the roll-ups, and how spans of time are cut into them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

MINUTE, HOUR, DAY = "minute", "hour", "day"


# A period as the fewest roll-ups that hold it exactly: whole days in the middle, hours and minutes
# at its edges.
#
# Ninety days from 13:37 on are 89 days, at most 23 hours and 59 minutes at each edge, where minutes
# alone would be 130,000.

STEPS: Final = {MINUTE: timedelta(minutes=1), HOUR: timedelta(hours=1), DAY: timedelta(days=1)}
_FINER: Final = {DAY: HOUR, HOUR: MINUTE}


@dataclass(frozen=True, slots=True)
class Span:
    """Roll-ups of this grain that begin from `start` on and before `end`; None: open."""

    grain: str
    start: datetime | None
    end: datetime | None


def spans(start: datetime | None, end: datetime | None, grain: str = DAY) -> list[Span]:
    """In order, none coarser than `grain`.

    Ends within a minute count as in the minute grain alone: by the starts of minutes.
    """
    if grain == MINUTE:
        return [Span(MINUTE, start, end)]
    first, last = start and ceil(start, grain), end and floor(end, grain)
    if first and last and first >= last:
        return spans(start, end, _FINER[grain])
    before = spans(start, first, _FINER[grain]) if start != first else []
    behind = spans(last, end, _FINER[grain]) if end != last else []
    return [*before, Span(grain, first, last), *behind]


def floor(at: datetime, grain: str) -> datetime:
    """The start of the minute, hour or day (UTC) that the time lies in."""
    at = at.astimezone(UTC)
    if grain == DAY:
        return at.replace(hour=0, minute=0, second=0, microsecond=0)
    return (
        at.replace(minute=0, second=0, microsecond=0)
        if grain == HOUR
        else at.replace(second=0, microsecond=0)
    )


def ceil(at: datetime, grain: str) -> datetime:
    """The time itself where a minute, hour or day (UTC) starts, else the start of the next."""
    start = floor(at, grain)
    return start if start == at else start + STEPS[grain]
