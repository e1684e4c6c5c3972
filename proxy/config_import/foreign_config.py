"""The configuration of another gateway: its values, and the verdict on each of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from proxy.config_files.reader import (
    BadConfigFile,
    ConfigDocument,
    ValuePath,
    read_foreign_file,
)
from proxy.config_import.report import EXACT, MANUAL, Finding, Verdict
from proxy.config_import.rules import RuleTable, Ruling

MAX_IMPORTED_VALUES: Final = 100_000
UNKNOWN: Final = Ruling(MANUAL, "Not known to this importer: look it up and decide.")
_YAML_1_1_FLAGS: Final = {"yes": True, "on": True, "no": False, "off": False}


class ForeignConfig:
    """Values of a file or a database, of which importers say what becomes of them."""

    def __init__(self, document: ConfigDocument, table: RuleTable) -> None:
        self.values = document.values
        self._table = table
        self._judged: dict[ValuePath, Ruling] = {}

    def get(self, path: ValuePath) -> Any:
        """Return the value there; None where there is none."""
        found: Any = self.values
        for name in path:
            if isinstance(found, dict):
                found = found.get(name)
            elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
                found = found[int(name)]
            else:
                return None
        return found

    def get_mapping(self, path: ValuePath) -> dict[str, Any]:
        """Return the mapping there, an empty one for anything else."""
        found = self.get(path)
        return found if isinstance(found, dict) else {}

    def get_list(self, path: ValuePath) -> list[Any]:
        """Return the list there, an empty one for anything else."""
        found = self.get(path)
        return found if isinstance(found, list) else []

    def judge(self, path: ValuePath, verdict: Verdict, reason: str) -> None:
        """Say what becomes of a value, and unless *exact*, of what is below it undecided."""
        self._judged[path] = Ruling(verdict, reason)

    def build_findings(self) -> list[Finding]:
        """Return the verdict on each value: decided by code, else by the table, else unknown."""
        return [self._find_verdict(path) for path in iter_leaves(self.values)]

    def _find_verdict(self, path: ValuePath) -> Finding:
        for length in range(len(path), -1, -1):
            ruling = self._judged.get(path[:length])
            if ruling and (ruling.verdict != EXACT or length == len(path)):
                return Finding(path, ruling.verdict, ruling.reason, path[:length])
        place, ruling = self._table.find(path) or (path, UNKNOWN)
        return Finding(path, ruling.verdict, ruling.reason, place)


def read_foreign_config(file: Path, table: RuleTable) -> ForeignConfig:
    """Read a file. Raises BadConfigFile, also for a folder or more values than are imported."""
    document = read_foreign_file(file)
    if len(document.places) > MAX_IMPORTED_VALUES:
        text = f"Must hold {MAX_IMPORTED_VALUES:,} values at most."
        raise BadConfigFile([document.make_problem((), text)])
    return ForeignConfig(document, table)


def iter_leaves(value: Any, path: ValuePath = ()) -> Iterator[ValuePath]:
    """Yield the path of each value that holds no others, in order."""
    if isinstance(value, dict) and value:
        for name, one in value.items():
            yield from iter_leaves(one, (*path, name))
    elif isinstance(value, list) and value:
        for number, one in enumerate(value):
            yield from iter_leaves(one, (*path, str(number)))
    elif path:
        yield path


def read_flag(value: Any) -> bool | None:
    """Return a flag as YAML 1.1 writes it; None for anything else."""
    if isinstance(value, str):
        return _YAML_1_1_FLAGS.get(value.lower())
    return value if isinstance(value, bool) else None


def read_number(value: Any) -> float | None:
    """Return a number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)
