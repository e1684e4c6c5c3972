"""`manage.py rotate_encryption_keys`: re-encrypt what is stored under the first encryption key.

Run after a new key was put first in TOKENTHRIFT_ENCRYPTION_KEYS, before the old one is removed.
"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts.second_factor import service as second_factor
from proxy.upstreams import services as upstreams
from proxy.upstreams.encryption import DecryptionFailed


class Command(BaseCommand):
    help = (
        "Seals every provider key and second factor under the first of "
        "TOKENTHRIFT_ENCRYPTION_KEYS; all of them or none."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with transaction.atomic():
                keys = upstreams.rotate_encryption_keys()
                factors = second_factor.rotate_encryption_keys()
        except DecryptionFailed as error:
            raise CommandError(f"Nothing was changed: {error}.") from error
        self.stdout.write(
            f"{keys} provider keys and {factors} second factors are sealed under the first key now."
        )
