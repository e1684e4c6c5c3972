"""`manage.py prune_events --days N`: forget old requests."""

import argparse
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.db.models import Model

from stats.models import DeadLetter, Erasure, RequestEvent, SpoolCursor, UpstreamAttempt

BATCH = 5_000
DATED: tuple[tuple[type[Model], str], ...] = (
    (RequestEvent, "at"),
    (UpstreamAttempt, "at"),
    (DeadLetter, "at"),
    (Erasure, "at"),
    (SpoolCursor, "seen_at"),
)


class Command(BaseCommand):
    help = "Delete requests, calls of unknown outcome and dead letters older than N days. The totals of plans stay: they are kept apart."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--days", type=_days, required=True, help="Keep this many days (at least 1).")

    def handle(self, *args: Any, **options: Any) -> None:
        before = datetime.now(UTC) - timedelta(days=options["days"])
        for model, field in DATED:
            self.stdout.write(f"{model._meta.verbose_name}: {_delete(model, field, before)} deleted")


def _days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= 36_500:
        raise argparse.ArgumentTypeError(f"must lie in 1..36500, got {text}")
    return days


def _delete(model: type[Model], field: str, before: datetime) -> int:
    """In batches: one statement over millions of rows would hold up the flusher and hit the statement timeout."""
    rows, deleted = model._default_manager.filter(**{f"{field}__lt": before}), 0
    while batch := list(rows.values_list("pk", flat=True)[:BATCH]):
        deleted += model._default_manager.filter(pk__in=batch).delete()[0]
    return deleted
