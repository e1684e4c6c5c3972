"""`manage.py prune_events`: delete old data now, as a worker does every hour."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand

from stats.ledger import retention
from stats.ledger.retention import RetentionPolicy


class Command(BaseCommand):
    help = (
        "Forget requests, calls of unknown outcome and dead letters, and roll-ups by minute and "
        "hour. Totals stay: days are kept apart."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--days",
            type=_parse_days,
            help=(
                "Keep requests this many days (at least 1), whatever TOKENTHRIFT_KEEP_EVENTS_DAYS."
            ),
        )

    def handle(self, *args: Any, **options: Any) -> None:
        policy = retention.load_policy()
        keep = (
            policy
            if options["days"] is None
            else RetentionPolicy(
                options["days"], policy.minute_days, policy.hour_days, policy.fingerprint_days
            )
        )
        for what, number in retention.prune_ledger(keep):
            self.stdout.write(f"{what}: {number} deleted")


def _parse_days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= 36_500:
        raise argparse.ArgumentTypeError(f"must lie in 1..36500, got {text}")
    return days
