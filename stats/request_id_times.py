"""Times in the ids of requests.

Every id in the ledger, of requests, samples and judge calls, is a UUIDv7 (RFC 9562 section 5.7)
made when `at` was read: its first 48 bits are the Unix milliseconds. The table of requests is
partitioned into months by them, so a query by time must also name the range of ids, or PostgreSQL
searches every month.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

CLOCK_TOLERANCE: Final = timedelta(minutes=1)  # a clock may be adjusted between the two readings
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RANDOM_BITS: Final = 80


def first_id(at: datetime) -> UUID:
    """Return the smallest possible id of that time. Raises ValueError before 1970."""
    return UUID(int=((at - _EPOCH) // timedelta(milliseconds=1)) << _RANDOM_BITS)


def build_time_conditions(
    start: datetime | None = None, end: datetime | None = None
) -> dict[str, Any]:
    """Build conditions for requests from `start` on and before `end` that exclude other partitions.

    None: open.
    """
    found: dict[str, Any] = {}
    if start is not None:
        found |= {"at__gte": start, "event_id__gte": first_id(max(start - CLOCK_TOLERANCE, _EPOCH))}
    if end is not None:
        found |= {"at__lt": end, "event_id__lt": first_id(max(end + CLOCK_TOLERANCE, _EPOCH))}
    return found
