"""`manage.py import_portkey`: take over a config of Portkey's gateway."""

from typing import Any

from proxy.config_import.config_draft import ConfigDraft
from proxy.config_import.portkey import import_portkey
from proxy.config_import.report import Finding
from proxy.management.import_command import ImportCommand


class Command(ImportCommand):
    help = (
        "Makes a file for `manage.py apply` of a config of Portkey's gateway (JSON), and says of "
        "each value whether it is exact, manual or unsupported."
    )

    def import_file(self, options: dict[str, Any]) -> tuple[ConfigDraft, list[Finding]]:
        return import_portkey(options["source"])
