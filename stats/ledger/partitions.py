"""Monthly partitions of the table of requests, by the time in their ids (`stats.request_id_times`).

Requests from before the partitioning are the first partition. A month without a partition falls
into the default one, so that an insert never fails; when the month gets its own, its rows move
there. A month beyond the retention is dropped as a whole.
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
from stats.request_id_times import first_id

MONTHS_AHEAD: Final = 3  # months that get a partition before they begin
PARENT_TABLE: Final = RequestEvent._meta.db_table
REST_TABLE: Final = f"{PARENT_TABLE}_rest"
PARTITION_LOCK: Final = (
    0x70617274  # an arbitrary number: one process at a time makes and drops partitions
)
LOCK_TIMEOUT: Final = "2s"  # for the table's lock: it delays inserts no longer than this
_BOUNDS_PATTERN: Final = re.compile(r"FROM \((.+)\) TO \((.+)\)")
_LIST_PARTITIONS_SQL: Final = """
SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = %s::regclass ORDER BY c.relname"""  # noqa: E501 -- SQL is laid out as it is read
_HAS_PENDING_SQL: Final = f"""
SELECT EXISTS (SELECT FROM {Unfolded._meta.db_table} CROSS JOIN LATERAL unnest(events) AS event WHERE event >= %s AND event < %s)"""  # noqa: E501 -- SQL is laid out as it is read


@dataclass(frozen=True, slots=True)
class Partition:
    """A table with the requests whose ids are >= `low_id` and < `high_id`."""

    name: str
    low_id: UUID
    high_id: UUID

    def contains_time(self, at: datetime) -> bool:
        return self.low_id <= first_id(at) < self.high_id


def find_month_start(at: datetime, *, later: int = 0) -> datetime:
    """Return the start (UTC) of the month of `at`, or of the month `later` months after it."""
    at = at.astimezone(UTC)
    years, number = divmod(at.month - 1 + later, 12)
    return datetime(at.year + years, number + 1, 1, tzinfo=UTC)


def list_partitions() -> list[Partition]:
    """List all partitions but the default one, by name; none if the table is not partitioned."""
    with connection.cursor() as cursor:
        cursor.execute(_LIST_PARTITIONS_SQL, [PARENT_TABLE])
        # Of a table that another process has dropped meanwhile PostgreSQL tells no bounds.
        rows = [(name, _BOUNDS_PATTERN.search(bounds or "")) for name, bounds in cursor.fetchall()]
    return [
        Partition(name, _parse_bound(found[1]), _parse_bound(found[2]))
        for name, found in rows
        if found
    ]


def make_partitions(start: datetime, *, months: int = 1 + MONTHS_AHEAD) -> list[str]:
    """Create the missing partitions of `months` months from `start` on; return their names.

    Raises OperationalError if the table cannot be locked in time.
    """
    there, made = list_partitions(), list[str]()
    for later in range(months):
        begin = find_month_start(start, later=later)
        if not any(part.contains_time(begin) for part in there) and (
            name := _make_partition(begin)
        ):
            made.append(name)
    return made


def drop_partition(part: Partition) -> bool:
    """Drop a partition with all its requests.

    Returns False, with nothing done, while one of them is in no rollup yet or another process works
    on partitions. Raises OperationalError if the table cannot be locked in time.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        if not _acquire_lock(cursor):
            return False
        # Waits for running inserts, and blocks new ones.
        cursor.execute(f"ALTER TABLE {PARENT_TABLE} DETACH PARTITION {part.name}")
        cursor.execute(_HAS_PENDING_SQL, [part.low_id, part.high_id])
        if cursor.fetchone()[0]:
            transaction.set_rollback(True)
            return False
        cursor.execute(f"DROP TABLE {part.name}")
    return True


def _make_partition(begin: datetime) -> str:
    """Create the month's partition; return its name, or "" if another process is at it."""
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
        # inserts wait, or a row on its way into the default partition would be rejected once its
        # month has its own
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
