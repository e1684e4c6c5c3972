"""What became of each path of an imported configuration: the verdicts, as lines and as JSON.

*exact*: written to the file, and works as it did. *manual*: something is left for a person to do or
to decide. *unsupported*: there is no counterpart. No reason holds a secret.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from proxy.config_files.reader import ValuePath

Verdict = Literal["exact", "manual", "unsupported"]
VERDICTS: Final[tuple[Verdict, ...]] = get_args(Verdict)
EXACT: Final[Verdict] = "exact"
MANUAL: Final[Verdict] = "manual"
UNSUPPORTED: Final[Verdict] = "unsupported"
MAX_PATH_LENGTH: Final = 200  # as shown; a name in a foreign file may be of any length


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one value. `decided_at`: the path at which it was decided, for all below."""

    path: ValuePath
    verdict: Verdict
    reason: str
    decided_at: ValuePath


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The verdict on each value of the input, in its order.

    `variables`: environment variables that the written file refers to.
    """

    findings: Sequence[Finding]
    variables: Sequence[str] = ()

    def count_verdicts(self) -> dict[Verdict, int]:
        found = Counter(each.verdict for each in self.findings)
        return {verdict: found[verdict] for verdict in VERDICTS}

    def describe(self) -> str:
        """Describe the report: a line for each decision, then totals."""
        decisions = Counter((each.decided_at, each.verdict, each.reason) for each in self.findings)
        lines = [
            f"{verdict:<11}  {format_path(path)}{_count_values(count)}: {reason}"
            for (path, verdict, reason), count in decisions.items()
        ]
        counts = ", ".join(f"{count} {name}" for name, count in self.count_verdicts().items())
        total = f"{len(self.findings)} values: {counts}."
        return "\n".join([*lines, total, *self._describe_variables()])

    def _describe_variables(self) -> Iterable[str]:
        if self.variables:
            yield f"Set in the environment before applying: {', '.join(self.variables)}."

    def build_body(self) -> dict[str, Any]:
        """Build the JSON of the report."""
        return {
            "counts": self.count_verdicts(),
            "variables": list(self.variables),
            "values": [
                {
                    "path": list(each.path),
                    "verdict": each.verdict,
                    "reason": each.reason,
                }
                for each in self.findings
            ],
        }


def format_path(path: ValuePath) -> str:
    """Return a path as text that a terminal shows as it is."""
    return format_name(".".join(path)) or "(the whole)"


def format_name(text: str) -> str:
    """Return a name from a foreign file as a reason can show it."""
    shown = text if text.isprintable() else ascii(text)[1:-1]
    return shown if len(shown) <= MAX_PATH_LENGTH else f"{shown[:MAX_PATH_LENGTH]}..."


def _count_values(count: int) -> str:
    return "" if count == 1 else f" ({count} values)"
