"""Django's `migrate`, safe to run in several processes at once: one works, the others wait."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.commands import migrate
from django.db import connections

MIGRATION_LOCK_ID = 0x746F6B656E74  # "tokent": an arbitrary number, the same in every process


class Command(migrate.Command):
    """Same arguments as Django's."""

    def handle(self, *args: Any, **options: Any) -> None:
        with hold_migration_lock(options["database"]):
            super().handle(*args, **options)


@contextmanager
def hold_migration_lock(database: str = "default") -> Iterator[None]:
    """Hold an advisory lock of PostgreSQL, which is released if the connection is lost."""
    connection = connections[database]
    with connection.cursor() as cursor:
        # No limit here: building an index takes as long as it takes.
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("SET lock_timeout = '10min'")
        cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK_ID])
        cursor.execute("RESET lock_timeout")
    try:
        yield
    finally:
        if connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK_ID])
                cursor.execute("RESET statement_timeout")
