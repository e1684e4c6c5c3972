"""manage.py seed_prices: update the price table from genai-prices."""

from typing import Any

from django.core.management.base import BaseCommand

from plans import services


class Command(BaseCommand):
    help = (
        "Brings the price table up to date with genai-prices. Rows that a person "
        "edited stay as they are."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{services.seed_prices()} prices written.")
