"""What the commands share that import another gateway's configuration."""

import json
import os
import shlex
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from proxy.config_files.reader import BadConfigFile
from proxy.config_import.config_draft import ConfigDraft
from proxy.config_import.report import Finding, ImportReport


class ImportCommand(BaseCommand):
    """Reads a foreign file, writes a file for `manage.py apply`, and reports on each value."""

    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", metavar="FILE", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="write no file, only report")
        parser.add_argument(
            "--output", metavar="FILE", type=Path, help="where the file goes; without: printed"
        )
        parser.add_argument(
            "--overwrite", action="store_true", help="replace the file that --output names"
        )
        parser.add_argument("--report", choices=("text", "json"), default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError; then no file was written."""
        try:
            draft, findings = self.import_file(options)
        except BadConfigFile as error:
            raise CommandError(f"{error}\nNo file was written.") from error
        report = ImportReport(findings, draft.list_variables())
        shown = (
            json.dumps(report.build_body(), indent=1)
            if options["report"] == "json"
            else report.describe()
        )
        if options["dry_run"]:
            self.stdout.write(shown)
            return
        command = type(self).__module__.rpartition(".")[2]
        text = draft.render(source=options["source"].name, command=command)
        if options["output"] is None:
            self.stderr.write(shown)
            self.stdout.write(text, ending="")
            return
        _write_private_file(options["output"], text, overwrite=options["overwrite"])
        self.stdout.write(
            f"{shown}\nWritten: {options['output']}. Show what it would change: "
            f"manage.py apply {shlex.quote(str(options['output']))} --dry-run"
        )

    def import_file(self, options: dict[str, Any]) -> tuple[ConfigDraft, list[Finding]]:
        """Return what to write, and the verdicts. Raises BadConfigFile or CommandError."""
        raise NotImplementedError


def _write_private_file(file: Path, text: str, *, overwrite: bool) -> None:
    """Write a file that its owner alone can read: it may hold digests of keys."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if overwrite else os.O_EXCL)
    try:
        with os.fdopen(os.open(file, flags, 0o600), "w", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        raise CommandError(f"{file} is there already: name another, or --overwrite.") from None
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {error.strerror}.") from error
