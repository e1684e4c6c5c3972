"""How strictly reworded questions must agree: a threshold by name, and what was measured there.

The numbers stand in operating_points.json, which `python -m evaluation.matching --write` fits and
measures anew. Pure.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, get_args

Strictness = Literal["strict", "balanced", "wide"]
STRICTNESS_NAMES: Final[tuple[Strictness, ...]] = get_args(Strictness)
# The share of near traps that each serves at most, or about.
STRICTNESS_TRAP_SHARES: Final[dict[Strictness, float]] = {
    "strict": 0.01,
    "balanced": 0.03,
    "wide": 0.05,
}
OPERATING_POINTS_PATH: Final = Path(__file__).with_name("operating_points.json")
# Texts written to be taken for each other: their recall and wrong share are nobody's.
WRITTEN_TRAPS_SET: Final = "written groups"
QUESTION_SET_TITLES: Final = {
    "questions": "Everyday questions",
    "fow-cache": "fow-cache, reworded in other words",
    "PAWS": "PAWS, words that change places",
    "Quora": "Quora, the hardest",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SetCounts:
    """Pairs of a labelled set at one threshold.

    `right`: those with one answer, `right_served`: of them, served; `traps`: those with another
    answer, `traps_served`: of them, served.
    """

    right: int
    right_served: int
    traps: int
    traps_served: int

    @property
    def recall(self) -> float:
        """The share of the right pairs that is served."""
        return self.right_served / max(1, self.right)

    @property
    def wrong_share(self) -> float:
        """The share of what is served that is a trap."""
        return self.traps_served / max(1, self.right_served + self.traps_served)

    @property
    def trap_share(self) -> float:
        """The share of the traps that is served."""
        return self.traps_served / max(1, self.traps)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """A threshold of the verifier's score, with the counts of each set that judged it.

    `name`: "" of a number that a plan may have instead.
    """

    name: Strictness | Literal[""] = ""
    threshold: float
    sets: Mapping[str, SetCounts]

    @property
    def written_trap_share(self) -> float:
        """The share of near traps written for this purpose that is served."""
        return self.sets[WRITTEN_TRAPS_SET].trap_share

    @property
    def question_sets(self) -> dict[str, SetCounts]:
        """The counts of questions that people asked, by the title of their set."""
        return {
            title: self.sets[name]
            for name, title in QUESTION_SET_TITLES.items()
            if name in self.sets
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoints:
    """What was measured of one verifier.

    `verifier`: the id of the weights whose score these thresholds are of; `points`: by name;
    `numbers`: the thresholds of a careful and a bold plan without a name.
    """

    verifier: str
    points: Mapping[Strictness, OperatingPoint]
    numbers: tuple[OperatingPoint, ...]

    @property
    def all_points(self) -> list[OperatingPoint]:
        """Every threshold that was measured, the lowest first."""
        return sorted((*self.points.values(), *self.numbers), key=lambda each: each.threshold)


def read_operating_points(path: Path = OPERATING_POINTS_PATH) -> OperatingPoints:
    """Read a file of operating points. Raises OSError, ValueError and KeyError."""
    row: dict[str, Any] = json.loads(path.read_bytes())
    return OperatingPoints(
        verifier=row["verifier"],
        points={name: _read_point(row["points"][name], name) for name in STRICTNESS_NAMES},
        numbers=tuple(_read_point(each) for each in row["numbers"]),
    )


def _read_point(row: dict[str, Any], name: Strictness | Literal[""] = "") -> OperatingPoint:
    return OperatingPoint(
        name=name,
        threshold=row["threshold"],
        sets={each: SetCounts(**counts) for each, counts in row["sets"].items()},
    )


@cache
def get_operating_points() -> OperatingPoints:
    """Return the committed points, read once."""
    return read_operating_points()


def get_strict_threshold() -> float:
    """Return the threshold below which a plan accepts more wrong answers for more hits."""
    return get_operating_points().points["strict"].threshold


def find_threshold(strictness: Strictness | None, match: str, similarity_threshold: float) -> float:
    """Return the threshold of these settings: of the strictness, or else the number."""
    if strictness is None or match != "verified":
        return similarity_threshold
    return get_operating_points().points[strictness].threshold
