"""Verdicts by path, as a table: what holds wherever the code of an importer decides nothing.

A pattern is a path with `*` for any one name. It holds for everything below it, too, except that
an *exact* one holds for a single value alone: what is unknown below it would pass silently.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.config_files.reader import ValuePath
from proxy.config_import.report import EXACT, Verdict

ANY_NAME = "*"


@dataclass(frozen=True, slots=True)
class Ruling:
    """A verdict with its reason."""

    verdict: Verdict
    reason: str


Rules = Mapping[str, Ruling]


@dataclass(slots=True)
class _Node:
    ruling: Ruling | None = None
    below: "dict[str, _Node]" = field(default_factory=dict)


class RuleTable:
    """Finds the ruling of the longest pattern that fits a path."""

    def __init__(self, rules: Rules) -> None:
        self._root = _Node()
        for pattern, ruling in rules.items():
            node = self._root
            for name in pattern.split("."):
                node = node.below.setdefault(name, _Node())
            node.ruling = ruling

    def find(self, path: ValuePath) -> tuple[ValuePath, Ruling] | None:
        """Return the ruling, and the part of the path at which it stands."""
        found: tuple[ValuePath, Ruling] | None = None
        nodes = [self._root]
        for depth, name in enumerate(path, 1):
            nodes = [
                node.below[each]
                for node in nodes
                for each in (name, ANY_NAME)
                if each in node.below
            ]
            for ruling in (node.ruling for node in nodes if node.ruling):
                if ruling.verdict != EXACT or depth == len(path):
                    found = path[:depth], ruling
                    break
        return found


def expand_rules(prefix: str, names: str, ruling: Ruling) -> dict[str, Ruling]:
    """Return the same ruling for several names below a prefix; blanks separate them."""
    return {f"{prefix}.{name}": ruling for name in names.split()}
