"""manage.py create_admin_key: create a key for the management API."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from plans import selectors, services
from plans.api_errors import TenantNotFound


class Command(BaseCommand):
    help = "Makes an admin key and prints it, once, as the only line of standard output."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--tenant",
            metavar="SLUG",
            help=(
                "the key manages this tenant's plans only (default: the platform's, "
                "and all tenants')"
            ),
        )
        parser.add_argument(
            "--name", default="made by create_admin_key", help="who or what uses the key"
        )

    def handle(self, *args: Any, tenant: str | None, name: str, **options: Any) -> None:
        try:
            owner = selectors.find_tenant(tenant) if tenant else None
        except TenantNotFound as error:
            raise CommandError(f"There is no tenant {tenant!r}.") from error
        row, secret = services.issue_admin_key(name=name, tenant=owner)
        self.stderr.write(
            f"Admin key {row.prefix}... for {owner or 'the platform'}. It is shown this once; "
            "only its HMAC is kept."
        )
        self.stdout.write(secret)
