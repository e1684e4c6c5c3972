"""The ten configurations of LiteLLM and five of Portkey, imported;
`python -m tests.proxy.config_import.imported` writes the reports of all of them anew."""

import os
from io import StringIO
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
PORTKEY_CONFIGS = sorted((HERE / "portkey_configs").glob("*.json"))
PORTKEY_REPORTS = HERE / "portkey_reports.txt"
CONFIGS = sorted((HERE / "litellm_configs").glob("*.yaml"))
REPORTS = HERE / "litellm_reports.txt"
TARGETS: dict[str, dict[str, list[str]]] = yaml.safe_load(
    (HERE / "litellm_targets.yaml").read_text()
)
ADDRESS = "https://acme-env.openai.azure.com"  # of the one variable that is an address


def run(command: str, *arguments: str) -> str:
    """What a management command printed; what it said on the side is not in it."""
    from django.core.management import call_command

    out = StringIO()
    call_command(command, *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def set_variables(text: str) -> dict[str, str]:
    """A value for each variable of a file: its own name as a key."""
    from proxy.config_files.references import find_variables

    return {
        name: ADDRESS if name.endswith("_API_BASE") else f"sk-of-{name.lower()}"
        for name in find_variables(text)
    }


def leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The path of every value of a file, as PyYAML alone reads it."""
    parts: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        parts = [(str(name), one) for name, one in value.items()]
    elif isinstance(value, list):
        parts = [(str(number), one) for number, one in enumerate(value)]
    if not parts:
        return [path]
    return [leaf for name, one in parts for leaf in leaves(one, (*path, name))]


def report_all(command: str, paths: list[Path]) -> str:
    """The reports of all of them, one after another."""
    return "\n".join(
        f"$ manage.py {command} {path.name} --dry-run\n{run(command, str(path), '--dry-run')}"
        for path in paths
    )


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway_project.settings")
    django.setup()
    REPORTS.write_text(report_all("import_litellm", CONFIGS))
    PORTKEY_REPORTS.write_text(report_all("import_portkey", PORTKEY_CONFIGS))
