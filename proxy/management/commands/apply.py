"""`manage.py apply`: make the configuration what a file or a folder of files says."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from plans.api_errors import ApiError
from proxy.config_files.applying import apply_config
from proxy.config_files.changes import AppliedChanges
from proxy.config_files.pruning import KeysInUse, prune_objects
from proxy.config_files.reader import BadConfigFile, ConfigDocument, read_config_files
from proxy.config_files.references import fill_references
from proxy.management.slow_steps import report_slow_step


class Command(BaseCommand):
    help = (
        "Writes upstreams, routes, tenants, keys, plans and prices as a YAML file or a folder of "
        "them says: all or nothing. What no file names stays, unless --prune."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", metavar="FILE|DIR", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="show changes and make none")
        parser.add_argument(
            "--prune",
            action="store_true",
            help="delete what no file names, in the sections that the files have; revoke such keys",
        )
        parser.add_argument(
            "--yes", action="store_true", help="prune also keys that were used within a day"
        )
        parser.add_argument("--output", choices=("text", "json"), default="text")

    def handle(self, *args: Any, source: Path, **options: Any) -> None:
        """Raises CommandError; then nothing was changed."""
        try:
            document = read_config_files(source)
            fill_references(document)
            done = self._apply(document, options)
        except BadConfigFile as error:
            raise CommandError(f"{error}\nNothing was changed.") from error
        except ApiError as error:
            raise CommandError(f"{error.message} Nothing was changed.") from error
        dry_run = options["dry_run"]
        self.stdout.write(
            json.dumps(done.build_body(dry_run=dry_run), indent=1)
            if options["output"] == "json"
            else done.describe(dry_run=dry_run)
        )

    def _write(self, document: ConfigDocument, **options: Any) -> AppliedChanges:
        """Apply the document; say so on standard error where it takes long."""
        with report_slow_step("Applying the configuration", write=self._write_progress):
            return apply_config(document, **options)

    def _write_progress(self, line: str) -> None:
        self.stderr.write(line, self.style.NOTICE)  # standard output may be JSON
        self.stderr.flush()

    def _apply(self, document: ConfigDocument, options: dict[str, Any]) -> AppliedChanges:
        dry_run = options["dry_run"]
        if not options["prune"]:
            return self._write(document, dry_run=dry_run)
        try:
            prune = partial(prune_objects, revokes_used_keys=options["yes"] or dry_run)
            return self._write(document, dry_run=dry_run, after=prune)
        except KeysInUse as error:
            if not self._is_confirmed(str(error)):
                raise CommandError(
                    f"--prune would revoke keys that were used within a day: {error}. Add --yes to "
                    "do so. Nothing was changed."
                ) from error
        return self._write(document, after=partial(prune_objects, revokes_used_keys=True))

    def _is_confirmed(self, keys: str) -> bool:
        """Ask whoever sits at the terminal; nobody means no."""
        if not sys.stdin.isatty():
            return False
        self.stdout.write(f"These keys were used within a day and would be revoked: {keys}.")
        return input("Revoke them? [y/N] ").strip().lower() in {"y", "yes"}
