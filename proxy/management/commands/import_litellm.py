"""`manage.py import_litellm`: take over the configuration of LiteLLM's proxy."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.core.validators import validate_slug

from proxy.config_files.references import MissingReference, read_secret
from proxy.config_import.config_draft import ConfigDraft
from proxy.config_import.litellm import DEFAULT_TENANT, import_litellm
from proxy.config_import.litellm_database import UnreadableDatabase
from proxy.config_import.report import Finding
from proxy.management.import_command import ImportCommand


class Command(ImportCommand):
    help = (
        "Makes a file for `manage.py apply` of a config.yaml of LiteLLM's proxy, and says of each "
        "value whether it is exact, manual or unsupported."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--database",
            metavar="URL",
            default="",
            help="LiteLLM's PostgreSQL, or file:<path> with its URL: keys, by their digests, and "
            "teams are taken over; it is only read",
        )
        parser.add_argument(
            "--tenant",
            metavar="SLUG",
            default=DEFAULT_TENANT,
            help="the tenant of keys without a team; default: %(default)s",
        )

    def import_file(self, options: dict[str, Any]) -> tuple[ConfigDraft, list[Finding]]:
        if options["database"] and not (options["dry_run"] or options["output"]):
            # Printed, they would end up in a terminal's history or in a file that others read.
            raise CommandError("--database needs --output: the file will hold digests of keys.")
        try:
            validate_slug(options["tenant"])
            return import_litellm(
                options["source"],
                database_url=read_secret(options["database"]),
                tenant=options["tenant"],
            )
        except ValidationError:
            raise CommandError("--tenant must be letters, digits, - and _.") from None
        except (MissingReference, UnreadableDatabase) as error:
            raise CommandError(f"{error} No file was written.") from error
