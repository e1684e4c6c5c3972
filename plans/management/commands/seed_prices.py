"""manage.py seed_prices: the published prices of genai-prices into the editable table."""

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
