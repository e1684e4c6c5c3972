"""Helm itself, in a process of its own: it renders the chart as `helm template` does, and lints.

`python -m tests.support.helm` reads {"values": ..., "lint": ...} and writes what came of it.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy" / "helm" / "tokenthrift"
RELEASE, NAMESPACE = "gw", "ai"
NOTES = "NOTES.txt"


class Refused(Exception):
    """Helm does not render the chart with these values; the message is Helm's."""


@dataclass(frozen=True)
class Rendered:
    """The manifests by kind, and what Helm tells whoever installed the chart."""

    manifests: dict[str, dict[str, Any]]
    notes: str


def render(values: dict[str, Any]) -> Rendered:
    """The chart with these values. Raises Refused."""
    texts = _run({"values": values})
    found = [
        manifest
        for name, text in texts.items()
        if not name.endswith(NOTES)
        for manifest in yaml.safe_load_all(text)
        if manifest
    ]
    (notes,) = (text for name, text in texts.items() if name.endswith(NOTES))
    return Rendered({manifest["kind"]: manifest for manifest in found}, notes)


def lint(values: dict[str, Any]) -> list[str]:
    """What Helm's linter finds wrong, or warns of."""
    told = _run({"values": values, "lint": True})
    return [*(each["error"] for each in told["messages"] if each["severity"] > 1), *told["errors"]]


def _run(asked: dict[str, Any]) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.helm"],
        input=json.dumps(asked),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise Refused(done.stderr)
    return json.loads(done.stdout)


def _answer() -> None:
    import helm_python

    asked = json.load(sys.stdin)
    if asked.get("lint"):
        told = helm_python.lint(str(CHART), asked["values"], namespace=NAMESPACE)
    else:
        with helm_python.Chart.load(str(CHART)) as chart:
            # An install checks the schema first; rendering alone does not.
            chart.validate_schema(asked["values"])
            told = chart.render(asked["values"], name=RELEASE, namespace=NAMESPACE)
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    _answer()
