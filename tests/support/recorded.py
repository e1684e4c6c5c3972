"""Finished requests in the test database."""

import orjson
from django.db import connection

from stats.events import Event
from stats.ledger.inserts import INSERT_EVENTS
from stats.ledger.rollup import FOLD


def store(*events: Event) -> None:
    """Record them as the flusher does, within the test's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(INSERT_EVENTS.decode(), (orjson.dumps(events, default=str),))
        cursor.execute(FOLD)
