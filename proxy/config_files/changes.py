"""What applying a configuration file changes, as lines and as JSON. Secrets are never in it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Action = Literal["create", "update", "delete", "revoke"]

SIGNS: Final[dict[Action, str]] = {"create": "+", "update": "~", "delete": "-", "revoke": "-"}
HIDDEN_VALUE: Final = "(hidden)"  # of a provider key


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """A field with its value in the database and in the file."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """What happens to one object. `name`: within its kind, a tenant's with its slug."""

    action: Action
    kind: str
    name: str
    differences: Sequence[FieldDifference] = ()

    def describe(self) -> str:
        """Describe the change in a line."""
        text = f"{SIGNS[self.action]} {self.kind} {self.name}"
        if self.action == "revoke":
            return f"{text} (revoked)"
        if self.action != "update":
            return text
        fields = (f"{each.field} {each.before} -> {each.after}" for each in self.differences)
        return f"{text}: {', '.join(fields)}"


@dataclass(slots=True)
class AppliedChanges:
    """All changes of a run, in their order, and how many objects were as the file says."""

    changes: list[ObjectChange] = field(default_factory=list)
    unchanged: int = 0

    def describe(self, *, dry_run: bool) -> str:
        """Describe the run, a line for each change and one for all."""
        done = "Would change" if dry_run else "Changed"
        count = len(self.changes)
        total = (
            f"{done} {count} object{'' if count == 1 else 's'}; {self.unchanged} as the file says."
        )
        return "\n".join([*(each.describe() for each in self.changes), total])

    def build_body(self, *, dry_run: bool) -> dict[str, Any]:
        """Build the JSON of the run."""
        return {
            "dry_run": dry_run,
            "changes": [
                {
                    "action": each.action,
                    "kind": each.kind,
                    "name": each.name,
                    "fields": {
                        one.field: {"before": one.before, "after": one.after}
                        for one in each.differences
                    },
                }
                for each in self.changes
            ],
            "unchanged": self.unchanged,
        }
