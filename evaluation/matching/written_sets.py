"""Questions and conversations written for this project, to teach and to judge what may be served.

`evaluation/sets/README.md` says who wrote and read them, and how.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Any

from evaluation.matching.sources import Pair

SETS = Path(__file__).parents[1] / "sets"
GROUPS, CONVERSATIONS = SETS / "question_groups.jsonl", SETS / "conversations.jsonl"
SAME_GROUP, TRAP_GROUP = "written_same", "written_trap"


@dataclass(frozen=True, slots=True)
class QuestionGroup:
    """A question in four wordings, and near questions that need another answer."""

    domain: str
    question: str
    paraphrases: tuple[str, ...]
    traps: tuple[str, ...]
    answer: str

    @property
    def wordings(self) -> tuple[str, ...]:
        return (self.question, *self.paraphrases)

    @property
    def teaches(self) -> bool:
        """Whether the group teaches; the other half judges. By a digest of the question."""
        return hashlib.sha256(self.question.encode()).digest()[0] % 2 == 0


def read_groups(path: Path = GROUPS) -> list[QuestionGroup]:
    """Read the groups. Raises OSError."""
    return [
        QuestionGroup(
            domain=row["domain"],
            question=row["question"],
            paraphrases=tuple(row["paraphrases"]),
            traps=tuple(row["traps"]),
            answer=row["answer"],
        )
        for row in _read_rows(path)
    ]


def read_conversations(path: Path = CONVERSATIONS) -> list[dict[str, Any]]:
    """Read the rows of conversations, by `kind`. Raises OSError."""
    return list(_read_rows(path))


def build_group_pairs(groups: Sequence[QuestionGroup]) -> list[Pair]:
    """Pair every wording with every other of its group, and with each trap."""
    pairs = []
    for group in groups:
        pairs += [Pair(a, b, True, SAME_GROUP) for a, b in combinations(group.wordings, 2)]
        pairs += [Pair(a, b, False, TRAP_GROUP) for a, b in product(group.wordings, group.traps)]
    return pairs


def _read_rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)
