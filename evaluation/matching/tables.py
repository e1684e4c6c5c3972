"""Labelled pairs with what decides about them: those that teach, and those that judge."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.matching.neighbours import pair_neighbours
from evaluation.matching.readings import PairReader
from evaluation.matching.sources import Pair, Sources, rows_of
from evaluation.matching.written_sets import QuestionGroup, build_group_pairs
from evaluation.split import BENCHMARKS, Side
from evaluation.taught import is_taught
from proxy.core.verification.equivalence import equivalent
from proxy.core.verification.rules.rule_registry import SURE_RULES, veto_question

# The written groups, which are all hard, against all other teaching pairs together.
GROUP_WEIGHT = 0.4
# Pairs of neighbours made of the questions of each side.
NEIGHBOURS: tuple[tuple[Side, int], ...] = (("train", 2400), ("tune", 720))
STATEMENTS = "paws"

Floats = NDArray[np.float64]


@dataclass(slots=True)
class PairTable:
    """Pairs with what every decision looks at.

    `cheap_features`: what words alone tell; `passed`: equivalent; `refused`: by a sure rule.
    """

    pairs: list[Pair]
    features: Floats
    cheap_features: Floats
    passed: NDArray[np.bool_]
    refused: NDArray[np.bool_]

    @property
    def labels(self) -> NDArray[np.bool_]:
        return np.array([pair.same for pair in self.pairs])

    @property
    def is_open(self) -> NDArray[np.bool_]:
        """Whether neither texts nor rules have decided."""
        open_ones: NDArray[np.bool_] = ~self.passed & ~self.refused
        return open_ones

    def rank(self, evidence: Floats) -> Floats:
        """Return the evidence, infinite where texts or rules have decided."""
        found: Floats = np.where(self.passed, np.inf, np.where(self.refused, -np.inf, evidence))
        return found


def build_table(pairs: Sequence[Pair], reader: PairReader) -> PairTable:
    refused = np.array([veto_question(pair.a, pair.b, SURE_RULES) is not None for pair in pairs])
    passed = np.array(
        [not bad and equivalent(pair.a, pair.b) for bad, pair in zip(refused, pairs, strict=True)]
    )
    features = np.array([reader.compute_features(pair.a, pair.b) for pair in pairs])
    cheap = np.array([reader.compute_cheap_features(pair.a, pair.b) for pair in pairs])
    return PairTable(list(pairs), features, cheap, passed, refused)


def build_teaching_tables(
    sources: Sources, groups: Sequence[QuestionGroup], reader: PairReader, *, seed: int
) -> list[tuple[PairTable, float]]:
    """Build the tables of teaching pairs with the weight of each: written, questions, statements.

    Statements weigh nothing and only help to set thresholds: their traps are the same words in
    another order, which no feature sees, and would teach that likeness speaks against a pair.
    """
    rng = random.Random(seed)
    own = build_group_pairs([group for group in groups if group.teaches])
    questions = [pair for side, _ in NEIGHBOURS for pair in sources.pairs[side]]
    statements = [pair for pair in questions if pair.group.startswith(STATEMENTS)]
    questions = [pair for pair in questions if not pair.group.startswith(STATEMENTS)]
    for side, count in NEIGHBOURS:
        questions += pair_neighbours(sources.intents[side], reader.stack_means, rng, count=count)
    weighted = ((own, GROUP_WEIGHT), (questions, 1.0), (statements, 0.0))
    return [(build_table(pairs, reader), weight) for pairs, weight in weighted if pairs]


def list_judging_sets(data: Path) -> dict[str, list[Pair]]:
    """List the pairs of the folder that have taught nothing, by set."""
    sets: dict[str, list[Pair]] = {"questions": [], "fow-cache": [], "PAWS": [], "Quora": []}
    for file in ("cache_pairs", "cache_pairs_nc"):
        path = data / f"{file}.jsonl.gz"
        for row in rows_of(path) if path.exists() else ():
            if is_taught(row["a"]) or is_taught(row["b"]):
                continue
            group = str(row["group"])
            if file.endswith("_nc"):
                name = "Quora"
            elif group.startswith(STATEMENTS):
                name = "PAWS"
            else:
                name = "fow-cache" if group.startswith(BENCHMARKS) else "questions"
            sets[name].append(Pair(row["a"], row["b"], row["same"], group))
    return {name: pairs for name, pairs in sets.items() if pairs}
