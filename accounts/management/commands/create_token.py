"""manage.py create_token: create a person's API token."""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import ApiToken
from accounts.tokens import service

DEFAULT_DAYS = 90


class Command(BaseCommand):
    help = (
        "Makes a token of a person for the management API and prints it, once, as the only line of "
        "standard output."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", metavar="USERNAME", help="whose token it is")
        parser.add_argument(
            "--name", default="made by create_token", help="what the token is used for"
        )
        parser.add_argument(
            "--write", action="store_true", help="it may change things too (default: read alone)"
        )
        parser.add_argument(
            "--resource",
            action="append",
            default=[],
            metavar="NAME",
            help="what it reaches, such as plans or stats; repeat for several (default: all)",
        )
        parser.add_argument(
            "--days", type=int, help=f"until it expires (default: {DEFAULT_DAYS}, or the most)"
        )

    def handle(
        self,
        *args: Any,
        user: str,
        name: str,
        write: bool,
        resource: list[str],
        days: int | None,
        **options: Any,
    ) -> None:
        person = User.objects.filter(username=user, is_active=True, is_staff=True).first()
        if person is None:
            raise CommandError(f"There is no active account with staff status named {user!r}.")
        try:
            row, secret = service.create_token(
                user=person,
                name=name,
                access=ApiToken.Access.WRITE if write else ApiToken.Access.READ,
                resources=resource,
                days=min(DEFAULT_DAYS, settings.TOKEN_DAYS) if days is None else days,
            )
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        self.stderr.write(
            f"Token {row.prefix}... of {person}, until {row.expires_at:%Y-%m-%d}. It is shown this "
            "once; only its HMAC is kept."
        )
        self.stdout.write(secret)
