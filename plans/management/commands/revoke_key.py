"""manage.py revoke_key: revoke a key that leaked or is no longer used."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from plans import services
from plans.models import AdminKey, VirtualKey


class Command(BaseCommand):
    help = "Revokes the virtual or admin key of that visible prefix."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("prefix", help="the visible start of the key, such as tt-Ab3dEf")

    def handle(self, *args: Any, prefix: str, **options: Any) -> None:
        found: list[VirtualKey | AdminKey] = [
            *VirtualKey.objects.filter(prefix=prefix, revoked_at=None),
            *AdminKey.objects.filter(prefix=prefix, revoked_at=None),
        ]
        if not found:
            raise CommandError("No live key has that prefix.")
        if len(found) > 1:
            raise CommandError(
                f"{len(found)} keys have that prefix ({', '.join(map(str, found))}): revoke the "
                "right one in the admin."
            )
        services.revoke_key(key=found[0])
        self.stdout.write(f"Revoked {found[0]}.")
