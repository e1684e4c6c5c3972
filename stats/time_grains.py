"""Minutes, hours and days: the grains of the rollups, and how periods are split into them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

MINUTE, HOUR, DAY = "minute", "hour", "day"


# A period is split into the fewest rollups that cover it exactly: whole days in the middle, hours
# and minutes at its edges.
#
# Ninety days from 13:37 on are 89 days, at most 23 hours and 59 minutes at each edge; minutes alone
# would be 130,000.

GRAIN_LENGTHS: Final = {
    MINUTE: timedelta(minutes=1),
    HOUR: timedelta(hours=1),
    DAY: timedelta(days=1),
}
_FINER_GRAINS: Final = {DAY: HOUR, HOUR: MINUTE}


@dataclass(frozen=True, slots=True)
class GrainSpan:
    """Rollups of this grain that begin from `start` on and before `end`; None: open."""

    grain: str
    start: datetime | None
    end: datetime | None


def split_into_spans(
    start: datetime | None, end: datetime | None, grain: str = DAY
) -> list[GrainSpan]:
    """Split a period into spans in order, none coarser than `grain`."""
    if grain == MINUTE:
        # Ends within a minute count as in the minute grain: by the starts of minutes.
        return [GrainSpan(MINUTE, start, end)]
    first, last = start and ceil_to_grain(start, grain), end and floor_to_grain(end, grain)
    if first and last and first >= last:
        return split_into_spans(start, end, _FINER_GRAINS[grain])
    before = split_into_spans(start, first, _FINER_GRAINS[grain]) if start != first else []
    behind = split_into_spans(last, end, _FINER_GRAINS[grain]) if end != last else []
    return [*before, GrainSpan(grain, first, last), *behind]


def floor_to_grain(at: datetime, grain: str) -> datetime:
    """Return the start of the minute, hour or day (UTC) of the time."""
    at = at.astimezone(UTC)
    if grain == DAY:
        return at.replace(hour=0, minute=0, second=0, microsecond=0)
    return (
        at.replace(minute=0, second=0, microsecond=0)
        if grain == HOUR
        else at.replace(second=0, microsecond=0)
    )


def ceil_to_grain(at: datetime, grain: str) -> datetime:
    """Return the time itself if a minute, hour or day (UTC) starts there, else the next start."""
    start = floor_to_grain(at, grain)
    return start if start == at else start + GRAIN_LENGTHS[grain]
