"""manage.py remove_second_factor: let somebody in who lost their app and their recovery codes."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.second_factor import service


class Command(BaseCommand):
    help = "Removes the second factor of an account; its password alone logs it in then."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", metavar="USERNAME", help="whose it is")

    def handle(self, *args: Any, user: str, **options: Any) -> None:
        person = User.objects.filter(username=user).first()
        if person is None:
            raise CommandError(f"There is no account named {user!r}.")
        if not service.remove(person):
            raise CommandError(f"{person} has no second factor.")
        self.stdout.write(f"{person} has no second factor any more.")
