"""Lines of the spool into tables: one statement per kind and batch, its columns read off the models.

PostgreSQL takes the batch as one JSON array (`jsonb_to_recordset`), which costs Python some 3 microseconds a row where building model
instances costs 60.
"""

from typing import Any

import orjson
from django.db import connection
from django.db.models import CharField, DateTimeField, Field, JSONField, Model

from stats.database import Connection
from stats.models import DeadLetter, RequestEvent, SpoolCursor, UpstreamAttempt

Row = dict[str, Any]
LINE_KINDS = ("event", "attempt")


def parse(line: bytes) -> tuple[str, Row]:
    """The kind of a line and its fields. Raises ValueError when it is not a whole line of ours."""
    value = orjson.loads(line)
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError("not an object with one member")
    kind, row = value.popitem()
    if kind not in LINE_KINDS or not isinstance(row, dict):
        raise ValueError(f"unknown kind of line: {kind[:40]!r}")
    return kind, row


def unparse(kind: str, row: Row) -> bytes:
    """The line that `parse` came from."""
    return orjson.dumps({kind: row})


async def insert(conn: Connection, worker: str, lines: list[tuple[str, Row]]) -> int:
    """Insert a batch, within the caller's transaction. Returns the number of new events: one that is there already is left alone.

    Raises psycopg.DataError or psycopg.IntegrityError when PostgreSQL refuses a row.
    """
    events = [row for kind, row in lines if kind == "event"]
    attempts = [row | {"worker": worker} for kind, row in lines if kind == "attempt"]
    inserted = 0
    if events:
        cursor = await conn.execute(INSERT_EVENTS, (orjson.dumps(events),))
        inserted = len(await cursor.fetchall())
    if attempts:
        await conn.execute(INSERT_ATTEMPTS, (orjson.dumps(attempts),))
    if events:
        await conn.execute(SETTLE, ([row["event_id"] for row in events],))
    return inserted


async def bury(conn: Connection, line: bytes, reason: str) -> None:
    """Keep a line that cannot be inserted, for a person to look at."""
    await conn.execute(BURY, (line, reason[:500].replace("\0", "")))


async def offset_of(conn: Connection, file: str) -> int:
    """How far that file has been read."""
    row = await (await conn.execute(READ_CURSOR, (file,))).fetchone()
    return row[0] if row else 0


async def move_cursor(conn: Connection, *, file: str, worker: str, offset: int) -> None:
    await conn.execute(MOVE_CURSOR, (file, worker, offset))


async def drop_cursor(conn: Connection, file: str) -> None:
    await conn.execute(DROP_CURSOR, (file,))


def _type(field: "Field[Any, Any]") -> str:
    """The type of a field in the JSON. Text is cut to its column and times are epoch seconds, so those differ from the column's."""
    if isinstance(field, CharField):
        return "text"
    return "double precision" if isinstance(field, DateTimeField) else str(field.db_type(connection))


def _value(field: "Field[Any, Any]") -> str:
    """A missing or null field takes the model's default: lines of an older version can still be read."""
    column = f'x."{field.column}"'
    if isinstance(field, CharField):
        return f"left(coalesce({column}, ''), {field.max_length})"
    if isinstance(field, DateTimeField):
        return f"to_timestamp({column})"
    if field.has_default():
        return f"coalesce({column}, '{'[]' if isinstance(field, JSONField) else field.get_default()}')"
    return column


def _insert(model: type[Model], condition: str = "true") -> bytes:
    fields = model._meta.concrete_fields
    columns = ", ".join(f'"{field.column}"' for field in fields)
    values = ", ".join(_value(field) for field in fields)
    types = ", ".join(f'"{field.column}" {_type(field)}' for field in fields)
    return (
        f"INSERT INTO {model._meta.db_table} ({columns}) SELECT {values} "
        f"FROM jsonb_to_recordset(convert_from(%b, 'UTF8')::jsonb) AS x({types}) "
        f"WHERE {condition} ON CONFLICT (event_id) DO NOTHING RETURNING event_id"
    ).encode()


EVENTS, ATTEMPTS, CURSORS, LETTERS = (model._meta.db_table for model in (RequestEvent, UpstreamAttempt, SpoolCursor, DeadLetter))
INSERT_EVENTS = _insert(RequestEvent)
INSERT_ATTEMPTS = _insert(UpstreamAttempt, f"NOT EXISTS (SELECT FROM {EVENTS} e WHERE e.event_id = x.event_id)")
SETTLE = f"DELETE FROM {ATTEMPTS} WHERE event_id = ANY(%s::uuid[])".encode()
BURY = f"INSERT INTO {LETTERS} (at, line, reason) VALUES (now(), %b, %s)".encode()
READ_CURSOR = f'SELECT "offset" FROM {CURSORS} WHERE file = %s'.encode()
DROP_CURSOR = f"DELETE FROM {CURSORS} WHERE file = %s".encode()
MOVE_CURSOR = (
    f'INSERT INTO {CURSORS} (file, worker, "offset", seen_at) VALUES (%s, %s, %s, now()) '
    'ON CONFLICT (file) DO UPDATE SET "offset" = excluded."offset", seen_at = excluded.seen_at'
).encode()
