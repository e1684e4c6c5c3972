"""Files that others wrote are the ones that were looked at."""

import hashlib
import re
from pathlib import Path

VENDORED = Path(__file__).parents[2] / "templates" / "static" / "vendor"
ROW = re.compile(r"^\| `([^`]+)` \| `([0-9a-f]{64})` \|$", re.MULTILINE)


def test_each_vendored_file_is_the_one_in_its_note() -> None:
    for folder in filter(Path.is_dir, VENDORED.iterdir()):
        noted = dict(ROW.findall((folder / "VENDORED.md").read_text()))
        found = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.*s")
        }
        assert found
        assert found == noted, folder.name
