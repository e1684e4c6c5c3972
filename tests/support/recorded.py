"""Finished requests in the test database."""

import orjson
from django.db import connection

from stats.events import Event
from stats.ledger.inserts import INSERT_EVENTS_SQL
from stats.ledger.rollup import ROLL_UP_SQL


def store(*events: Event) -> None:
    """Record them as the flusher does, within the test's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(INSERT_EVENTS_SQL.decode(), (orjson.dumps(events, default=str),))
        cursor.execute(ROLL_UP_SQL)
