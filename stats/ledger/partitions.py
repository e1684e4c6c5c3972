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

AHEAD: Final = 3  # months that have a part before they begin
PARENT: Final = RequestEvent._meta.db_table
REST: Final = f"{PARENT}_rest"
LOCK: Final = 0x70617274  # any number of our own: one process at a time makes and drops parts
WAIT: Final = "2s"  # for the table's lock: nobody's insert is held up longer by it
_BOUNDS: Final = re.compile(r"FROM \((.+)\) TO \((.+)\)")
_PARTS: Final = """
SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = %s::regclass ORDER BY c.relname"""  # noqa: E501 -- SQL is laid out as it is read
_UNFOLDED: Final = f"""
SELECT EXISTS (SELECT FROM {Unfolded._meta.db_table} CROSS JOIN LATERAL unnest(events) AS event WHERE event >= %s AND event < %s)"""  # noqa: E501 -- SQL is laid out as it is read


@dataclass(frozen=True, slots=True)
class Part:
    """A table with the requests whose ids lie from `low` on and below `high`."""

    name: str
    low: UUID
    high: UUID

    def holds(self, at: datetime) -> bool:
        return self.low <= first_id(at) < self.high


def month(at: datetime, *, later: int = 0) -> datetime:
    """The start (UTC) of the month that the time lies in, or of one so many months later."""
    at = at.astimezone(UTC)
    years, number = divmod(at.month - 1 + later, 12)
    return datetime(at.year + years, number + 1, 1, tzinfo=UTC)


def parts() -> list[Part]:
    """All but that for the rest, by name; none where the table is not cut."""
    with connection.cursor() as cursor:
        cursor.execute(_PARTS, [PARENT])
        rows = [(name, _BOUNDS.search(bounds)) for name, bounds in cursor.fetchall()]
    return [Part(name, _bound(found[1]), _bound(found[2])) for name, found in rows if found]


def make(start: datetime, *, months: int = 1 + AHEAD) -> list[str]:
    """Give each of so many months, from that of `start` on, a part of its own;
    the names of new ones. Raises OperationalError when the table's lock is not to be had."""
    there, made = parts(), list[str]()
    for later in range(months):
        begin = month(start, later=later)
        if not any(part.holds(begin) for part in there) and (name := _make(begin)):
            made.append(name)
    return made


def drop(part: Part) -> bool:
    """Drop the part with all its requests.

    False, and nothing done, while one of them is in no roll-up yet, or another process is at it.
    Raises OperationalError when the table's lock is not to be had.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        if not _our_turn(cursor):
            return False
        # Waits for whoever inserts, and keeps others out.
        cursor.execute(f"ALTER TABLE {PARENT} DETACH PARTITION {part.name}")
        cursor.execute(_UNFOLDED, [part.low, part.high])
        if cursor.fetchone()[0]:
            transaction.set_rollback(True)
            return False
        cursor.execute(f"DROP TABLE {part.name}")
    return True


def _make(begin: datetime) -> str:
    """The name of the new part; "" when another process is at it."""
    name, low, high = f"{PARENT}_{begin:y%Ym%m}", first_id(begin), first_id(month(begin, later=1))
    with transaction.atomic(), connection.cursor() as cursor:
        if not _our_turn(cursor):
            return ""
        cursor.execute(
            f"CREATE TABLE {name} (LIKE {PARENT} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
        )
        # whoever inserts waits, or a row on its way into the rest would be refused once its month
        # has a part
        cursor.execute(f"LOCK TABLE ONLY {PARENT} IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute(
            f"INSERT INTO {name} SELECT * FROM {REST} WHERE event_id >= %s AND event_id < %s",
            [low, high],
        )
        cursor.execute(f"DELETE FROM {REST} WHERE event_id >= %s AND event_id < %s", [low, high])
        cursor.execute(
            f"ALTER TABLE {PARENT} ATTACH PARTITION {name} FOR VALUES FROM ('{low}') TO ('{high}')"
        )
    return name


def _our_turn(cursor: CursorWrapper) -> bool:
    cursor.execute(
        "SELECT set_config('lock_timeout', %s, true), pg_try_advisory_xact_lock(%s)", [WAIT, LOCK]
    )
    return bool(cursor.fetchone()[1])


def _bound(text: str) -> UUID:
    return UUID(int=0) if text == "MINVALUE" else UUID(text.strip("'"))
