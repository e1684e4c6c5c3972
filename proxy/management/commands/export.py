"""`manage.py export`: print the configuration as `manage.py apply` reads it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from proxy.config_files.exporting import AmbiguousName, UnreadableSecret, export_config


class Command(BaseCommand):
    help = (
        "Prints upstreams, routes, tenants, keys, plans and edited prices as YAML for "
        "`manage.py apply`. Secrets become variables that have to be set."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError for two keys of one name, or what cannot be decrypted."""
        try:
            self.stdout.write(export_config(), ending="")
        except (AmbiguousName, UnreadableSecret) as error:
            raise CommandError(str(error)) from error
