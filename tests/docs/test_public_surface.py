"""What others rely on changes on purpose, and together with the list of it."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIST = Path(__file__).with_name("public_surface.json")


def test_paths_fields_metrics_tables_and_variables_are_those_of_the_list(tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    # In a process of its own: the settings of a test run are not those of a gateway.
    subprocess.run(
        [sys.executable, "-m", "tests.support.public_surface", str(found)], cwd=ROOT, check=True
    )
    assert json.loads(found.read_text()) == json.loads(LIST.read_text()), (
        "If this change of what others rely on is meant, write the list anew with "
        f"python -m tests.support.public_surface {LIST.relative_to(ROOT)}, "
        "and say so in CHANGELOG.md"
    )
