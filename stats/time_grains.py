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

GRAIN_LENGTHS: Final = {
    MINUTE: timedelta(minutes=1),
    HOUR: timedelta(hours=1),
    DAY: timedelta(days=1),
}
_FINER_GRAINS: Final = {DAY: HOUR, HOUR: MINUTE}


@dataclass(frozen=True, slots=True)
class GrainSpan:
    """Roll-ups of this grain that begin from `start` on and before `end`; None: open."""

    grain: str
    start: datetime | None
    end: datetime | None


def split_into_spans(
    start: datetime | None, end: datetime | None, grain: str = DAY
) -> list[GrainSpan]:
    """In order, none coarser than `grain`.

    Ends within a minute count as in the minute grain alone: by the starts of minutes.
    """
    if grain == MINUTE:
        return [GrainSpan(MINUTE, start, end)]
    first, last = start and ceil_to_grain(start, grain), end and floor_to_grain(end, grain)
    if first and last and first >= last:
        return split_into_spans(start, end, _FINER_GRAINS[grain])
    before = split_into_spans(start, first, _FINER_GRAINS[grain]) if start != first else []
    behind = split_into_spans(last, end, _FINER_GRAINS[grain]) if end != last else []
    return [*before, GrainSpan(grain, first, last), *behind]


def floor_to_grain(at: datetime, grain: str) -> datetime:
    """The start of the minute, hour or day (UTC) that the time lies in."""
    at = at.astimezone(UTC)
    if grain == DAY:
        return at.replace(hour=0, minute=0, second=0, microsecond=0)
    return (
        at.replace(minute=0, second=0, microsecond=0)
        if grain == HOUR
        else at.replace(second=0, microsecond=0)
    )


def ceil_to_grain(at: datetime, grain: str) -> datetime:
    """The time itself where a minute, hour or day (UTC) starts, else the start of the next."""
    start = floor_to_grain(at, grain)
    return start if start == at else start + GRAIN_LENGTHS[grain]
