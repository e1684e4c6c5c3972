"""`manage.py new_secret`: print a new secret of a virtual key, for a secret store."""

from typing import Any

from django.core.management.base import BaseCommand

from plans import key_secrets


class Command(BaseCommand):
    help = (
        "Prints a random secret for a virtual key. It is no key before `manage.py apply` names it."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(key_secrets.generate_key(key_secrets.VIRTUAL_KEY_KIND, pepper="").secret)
