"""`manage.py rotate_encryption_keys`: re-encrypt provider keys under the first encryption key.

Run after a new key was put first in TOKENTHRIFT_ENCRYPTION_KEYS, before the old one is removed.
"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from proxy.upstreams import services
from proxy.upstreams.encryption import DecryptionFailed


class Command(BaseCommand):
    help = (
        "Seals every provider key under the first of TOKENTHRIFT_ENCRYPTION_KEYS; "
        "all of them or none."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            count = services.rotate_encryption_keys()
        except DecryptionFailed as error:
            raise CommandError(f"Nothing was changed: {error}.") from error
        self.stdout.write(f"{count} provider keys are sealed under the first key now.")
