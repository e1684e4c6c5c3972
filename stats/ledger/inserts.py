"""Insert lines of the spool: one statement per kind and batch, with columns from the models.

PostgreSQL gets the lines unparsed, joined to one JSON array (`jsonb_to_recordset`): parsing them
would cost Python several microseconds a row on the event loop, and building model instances 60.
"""

import json
from typing import Any, Literal

from django.db import connection
from django.db.models import CharField, DateTimeField, Field, JSONField, Model

from stats.database import Connection
from stats.ledger.cache_entry_sql import COUNT_HITS_SQL, INSERT_ENTRIES_SQL, SHARED_LOCK_SQL
from stats.ledger.fingerprint_sql import INSERT_FINGERPRINTS_SQL
from stats.ledger.rollup import NOTE_PENDING_SQL, ROLL_UP_SQL
from stats.models.requests import DeadLetter, RequestEvent, SpoolCursor, UpstreamAttempt

LineKind = Literal["event", "attempt", "kept", "imprint"]
SpoolRow = tuple[LineKind, bytes]
_LINE_PREFIXES: tuple[tuple[LineKind, bytes], ...] = (
    ("event", b'{"event":'),
    ("attempt", b'{"attempt":'),
    ("kept", b'{"kept":'),
    ("imprint", b'{"imprint":'),
)


def parse_line(line: bytes) -> SpoolRow:
    """Return the kind of a line and its JSON object, unparsed.

    Raises ValueError if it is not a whole line of ours.
    """
    for kind, start in _LINE_PREFIXES:
        if line.startswith(start) and line.endswith(b"}}"):
            return kind, line[len(start) : -1]
    raise ValueError("not an object with one member: event, attempt, kept or imprint")


def format_line(row: SpoolRow) -> bytes:
    """Format the row as the line it came from."""
    kind, body = row
    return b'{"%b":%b}' % (kind.encode(), body)


async def insert_rows(conn: Connection, worker: str, rows: list[SpoolRow]) -> int:
    """Insert a batch within the caller's transaction; return the number of new events.

    An event that exists already is left alone. Raises psycopg.DataError or psycopg.IntegrityError
    if PostgreSQL rejects a row.
    """
    events = [body for kind, body in rows if kind == "event"]
    attempts = [body for kind, body in rows if kind == "attempt"]
    kept = [body for kind, body in rows if kind == "kept"]
    imprints = [body for kind, body in rows if kind == "imprint"]
    inserted = 0
    if kept or imprints:
        await conn.execute(SHARED_LOCK_SQL)
    if kept:  # before the events, some of which may be hits on them
        await conn.execute(INSERT_ENTRIES_SQL, (_join_json_array(kept),))
    if imprints:
        await conn.execute(INSERT_FINGERPRINTS_SQL, (_join_json_array(imprints),))
    if events:
        found = await (
            await conn.execute(INSERT_EVENTS_SQL, (_join_json_array(events),))
        ).fetchone()
        inserted = found[0] if found else 0
    if attempts:
        await conn.execute(INSERT_ATTEMPTS_SQL, (worker, _join_json_array(attempts)))
    return inserted


async def roll_up(conn: Connection) -> int:
    """Add recorded requests to the rollups, in a transaction of its own.

    Returns the number of batches: MAX_BATCHES if there may be more; 0 also while another worker
    does it.
    """
    found = await (await conn.execute(ROLL_UP_SQL.encode())).fetchone()
    return found[0] if found else 0


def _join_json_array(bodies: list[bytes]) -> bytes:
    return b"[%b]" % b",".join(bodies)


async def store_dead_letter(conn: Connection, line: bytes, reason: str) -> None:
    """Store a line that cannot be inserted, for a person to look at."""
    await conn.execute(INSERT_DEAD_LETTER_SQL, (line, reason[:500].replace("\0", "")))


async def read_offset(conn: Connection, file: str) -> int:
    """Return how far the file has been read."""
    row = await (await conn.execute(READ_CURSOR_SQL, (file,))).fetchone()
    return row[0] if row else 0


async def move_cursor(conn: Connection, *, file: str, worker: str, offset: int) -> None:
    await conn.execute(MOVE_CURSOR_SQL, (file, worker, offset))


async def drop_cursor(conn: Connection, file: str) -> None:
    await conn.execute(DROP_CURSOR_SQL, (file,))


def _json_type(field: "Field[Any, Any]") -> str:
    """Return the SQL type of a field in the JSON."""
    # Text is cut to its column and times are epoch seconds, so these differ from the column's type.
    if isinstance(field, CharField):
        return "text"
    return (
        "double precision" if isinstance(field, DateTimeField) else str(field.db_type(connection))
    )


def _build_value_sql(field: "Field[Any, Any]") -> str:
    """Build the SQL for a field's value; a missing or null one becomes the model's default."""
    column = f'x."{field.column}"'
    if field.column == "worker":  # not in the line: the file tells which worker wrote it
        return "%s::text"
    if isinstance(field, CharField):
        return f"left(coalesce({column}, ''), {field.max_length})"
    if isinstance(field, DateTimeField):
        return f"to_timestamp({column})"
    # So lines of an older version can still be read.
    if field.has_default():
        default = field.get_default()
        return (
            f"coalesce({column}, "
            f"'{json.dumps(default) if isinstance(field, JSONField) else default}')"
        )
    return column


def _build_insert_sql(model: type[Model], condition: str = "true") -> str:
    fields = model._meta.concrete_fields
    columns = ", ".join(f'"{field.column}"' for field in fields)
    values = ", ".join(_build_value_sql(field) for field in fields)
    types = ", ".join(f'"{field.column}" {_json_type(field)}' for field in fields)
    return (
        f"INSERT INTO {model._meta.db_table} ({columns}) SELECT {values} "
        f"FROM jsonb_to_recordset(convert_from(%b, 'UTF8')::jsonb) AS x({types}) "
        f"WHERE {condition} ON CONFLICT (event_id) DO NOTHING"
    )


EVENTS_TABLE, ATTEMPTS_TABLE, CURSORS_TABLE, DEAD_LETTERS_TABLE = (
    model._meta.db_table for model in (RequestEvent, UpstreamAttempt, SpoolCursor, DeadLetter)
)
# An event settles its attempt; an attempt whose event exists already is not inserted.
INSERT_EVENTS_SQL = (
    f"WITH new AS ({_build_insert_sql(RequestEvent)} RETURNING event_id, entry_id, at, tier, "
    "would), settled "
    f"AS (DELETE FROM {ATTEMPTS_TABLE} WHERE event_id IN (SELECT event_id FROM new)), "
    f"{COUNT_HITS_SQL}, {NOTE_PENDING_SQL} "
    "SELECT count(*) FROM new"
).encode()
INSERT_ATTEMPTS_SQL = _build_insert_sql(
    UpstreamAttempt, f"NOT EXISTS (SELECT FROM {EVENTS_TABLE} e WHERE e.event_id = x.event_id)"
).encode()
INSERT_DEAD_LETTER_SQL = (
    f"INSERT INTO {DEAD_LETTERS_TABLE} (at, line, reason) VALUES (now(), %b, %s)".encode()
)
READ_CURSOR_SQL = f'SELECT "offset" FROM {CURSORS_TABLE} WHERE file = %s'.encode()
DROP_CURSOR_SQL = f"DELETE FROM {CURSORS_TABLE} WHERE file = %s".encode()
MOVE_CURSOR_SQL = (
    f'INSERT INTO {CURSORS_TABLE} (file, worker, "offset", seen_at) VALUES (%s, %s, %s, now()) '
    'ON CONFLICT (file) DO UPDATE SET "offset" = excluded."offset", seen_at = excluded.seen_at'
).encode()
