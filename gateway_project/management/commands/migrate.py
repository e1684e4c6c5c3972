"""Django's `migrate`, safe to run in several processes at once: one works, the others wait."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import connections
from django.db.migrations.loader import MigrationLoader

from plans.access import PRODUCT_APPS

MIGRATION_LOCK_ID = 0x746F6B656E74  # "tokent": an arbitrary number, the same in every process


class Command(migrate.Command):
    """Same arguments as Django's."""

    def handle(self, *args: Any, **options: Any) -> None:
        with hold_migration_lock(options["database"]):
            if not options.get("app_label"):
                refuse_newer_database(options["database"])
            super().handle(*args, **options)


def refuse_newer_database(database: str) -> None:
    """Raise CommandError if a newer version of the gateway has used the database."""
    loader = MigrationLoader(connections[database])
    known = {*loader.disk_migrations, *loader.replacements}
    newer = sorted(f"{app}.{name}" for app, name in set(loader.applied_migrations or ()) - known)
    ours = [name for name in newer if name.partition(".")[0] in PRODUCT_APPS]
    if ours:
        raise CommandError(
            f"A newer version has used this database: it made {ours[-1]}, which this version does "
            "not know. Start the newer version, or go back to the backup from before it "
            "(docs/deploy.md)."
        )


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
