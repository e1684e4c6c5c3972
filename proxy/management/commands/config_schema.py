"""`manage.py config_schema`: print the JSON Schema of configuration files."""

import json
from typing import Any

from django.core.management.base import BaseCommand

from proxy.config_files.json_schema import build_config_schema


class Command(BaseCommand):
    help = "Prints the JSON Schema of the files that `manage.py apply` reads, for editors."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(json.dumps(build_config_schema(), indent=1))
