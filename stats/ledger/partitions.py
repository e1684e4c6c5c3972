"""The table of requests, cut into months by the time in their ids (`stats.request_ids`).

What was recorded before the table was cut is its first part. A month without a part of its own
falls into the part for the rest, so that an insert never fails; when the month gets one, its rows
move there. A month that is no longer wanted goes in one piece.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from stats.models.requests import RequestEvent
from stats.models.rollups import Unfolded
from stats.request_ids import first_id

MONTHS_AHEAD: Final = 3  # months that have a part before they begin
PARENT_TABLE: Final = RequestEvent._meta.db_table
REST_TABLE: Final = f"{PARENT_TABLE}_rest"
PARTITION_LOCK: Final = (
    0x70617274  # any number of our own: one process at a time makes and drops parts
)
LOCK_TIMEOUT: Final = "2s"  # for the table's lock: nobody's insert is held up longer by it
_BOUNDS_PATTERN: Final = re.compile(r"FROM \((.+)\) TO \((.+)\)")
_LIST_PARTITIONS_SQL: Final = """
SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = %s::regclass ORDER BY c.relname"""  # noqa: E501 -- SQL is laid out as it is read
_HAS_PENDING_SQL: Final = f"""
SELECT EXISTS (SELECT FROM {Unfolded._meta.db_table} CROSS JOIN LATERAL unnest(events) AS event WHERE event >= %s AND event < %s)"""  # noqa: E501 -- SQL is laid out as it is read


@dataclass(frozen=True, slots=True)
class Partition:
    """A table with the requests whose ids lie from `low` on and below `high`."""

    name: str
    low_id: UUID
    high_id: UUID

    def contains_time(self, at: datetime) -> bool:
        return self.low_id <= first_id(at) < self.high_id


def find_month_start(at: datetime, *, later: int = 0) -> datetime:
    """The start (UTC) of the month that the time lies in, or of one so many months later."""
    at = at.astimezone(UTC)
    years, number = divmod(at.month - 1 + later, 12)
    return datetime(at.year + years, number + 1, 1, tzinfo=UTC)


def list_partitions() -> list[Partition]:
    """All but that for the rest, by name; none where the table is not cut."""
    with connection.cursor() as cursor:
        cursor.execute(_LIST_PARTITIONS_SQL, [PARENT_TABLE])
        rows = [(name, _BOUNDS_PATTERN.search(bounds)) for name, bounds in cursor.fetchall()]
    return [
        Partition(name, _parse_bound(found[1]), _parse_bound(found[2]))
        for name, found in rows
        if found
    ]


def make_partitions(start: datetime, *, months: int = 1 + MONTHS_AHEAD) -> list[str]:
    """Give each of so many months, from that of `start` on, a part of its own;
    the names of new ones. Raises OperationalError when the table's lock is not to be had."""
    there, made = list_partitions(), list[str]()
    for later in range(months):
        begin = find_month_start(start, later=later)
        if not any(part.contains_time(begin) for part in there) and (
            name := _make_partition(begin)
        ):
            made.append(name)
    return made


def drop_partition(part: Partition) -> bool:
    """Drop the part with all its requests.

    False, and nothing done, while one of them is in no roll-up yet, or another process is at it.
    Raises OperationalError when the table's lock is not to be had.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        if not _acquire_lock(cursor):
            return False
        # Waits for whoever inserts, and keeps others out.
        cursor.execute(f"ALTER TABLE {PARENT_TABLE} DETACH PARTITION {part.name}")
        cursor.execute(_HAS_PENDING_SQL, [part.low_id, part.high_id])
        if cursor.fetchone()[0]:
            transaction.set_rollback(True)
            return False
        cursor.execute(f"DROP TABLE {part.name}")
    return True


def _make_partition(begin: datetime) -> str:
    """The name of the new part; "" when another process is at it."""
    name, low, high = (
        f"{PARENT_TABLE}_{begin:y%Ym%m}",
        first_id(begin),
        first_id(find_month_start(begin, later=1)),
    )
    with transaction.atomic(), connection.cursor() as cursor:
        if not _acquire_lock(cursor):
            return ""
        cursor.execute(
            f"CREATE TABLE {name} (LIKE {PARENT_TABLE} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
        )
        # whoever inserts waits, or a row on its way into the rest would be refused once its month
        # has a part
        cursor.execute(f"LOCK TABLE ONLY {PARENT_TABLE} IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute(
            f"INSERT INTO {name} SELECT * FROM {REST_TABLE} WHERE event_id >= %s AND event_id < %s",
            [low, high],
        )
        cursor.execute(
            f"DELETE FROM {REST_TABLE} WHERE event_id >= %s AND event_id < %s", [low, high]
        )
        cursor.execute(
            f"ALTER TABLE {PARENT_TABLE} ATTACH PARTITION {name} FOR VALUES FROM ('{low}') TO "
            f"('{high}')"
        )
    return name


def _acquire_lock(cursor: CursorWrapper) -> bool:
    cursor.execute(
        "SELECT set_config('lock_timeout', %s, true), pg_try_advisory_xact_lock(%s)",
        [LOCK_TIMEOUT, PARTITION_LOCK],
    )
    return bool(cursor.fetchone()[1])


def _parse_bound(text: str) -> UUID:
    return UUID(int=0) if text == "MINVALUE" else UUID(text.strip("'"))
