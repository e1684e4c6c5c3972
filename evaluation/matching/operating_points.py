"""Fit the thresholds that have names, and count what they serve of the sets that judge.

Written by `python -m evaluation.matching --write` to plans/operating_points.json, from which plans,
form and documents read them. What fits a threshold is a share of teaching traps; what is counted
are pairs that taught nothing.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from evaluation.matching.tables import Floats, PairTable
from plans.strictness import OPERATING_POINTS_PATH, STRICTNESS_NAMES, Strictness
from proxy.engines.verifiers.weights import (
    USUAL_SCORE,
    LearnedWeights,
    load_learned_weights,
    score_evidence,
    verifier_id,
)

Tables = Sequence[tuple[PairTable, float]]
# Shares of the written groups' traps that teach, and of all other traps that do, which may be
# served. Strict is the usual threshold, which training found.
TRAPS_SERVED: Final[Mapping[Strictness, tuple[float, float]]] = {
    "balanced": (0.03, 0.04),
    "wide": (0.06, 0.05),
}
# Thresholds that plans have without a name: the guide's bold and careful ones.
NUMBERS: Final = (0.80, 0.90)
SCORE_DIGITS: Final = 3  # of a threshold, so that pages show the very number that decides


def find_evidence_at(
    tables: Tables, evidence: Sequence[Floats], shares: tuple[float, float]
) -> float:
    """Return the least evidence at which no more than these shares of traps are served.

    `evidence`: of each table's pairs; `shares`: of the written groups, which are the first table,
    and of all others together.
    """
    ranked = [
        each.rank(weighed)[~each.labels]
        for (each, _), weighed in zip(tables, evidence, strict=True)
    ]
    found = [0.0]
    for served, share in zip((ranked[0], np.concatenate(ranked[1:])), shares, strict=True):
        traps = np.sort(served)[::-1]
        allowed = int(share * len(traps))
        if allowed < len(traps) and np.isfinite(traps[allowed]):
            found.append(float(traps[allowed]))
    return max(found)


def find_named_thresholds(tables: Tables, weights: LearnedWeights) -> dict[Strictness, float]:
    """Return the score of each name, at which the teaching traps serve what they may."""
    evidence = [weigh_table(each, weights) for each, _ in tables]
    found: dict[Strictness, float] = {"strict": USUAL_SCORE}
    for name, shares in TRAPS_SERVED.items():
        score = score_evidence(find_evidence_at(tables, evidence, shares), weights.usual_evidence)
        found[name] = round(min(score, USUAL_SCORE), SCORE_DIGITS)
    return {name: found[name] for name in STRICTNESS_NAMES}


def measure_operating_points(
    sets: Mapping[str, PairTable], tables: Tables, weights: LearnedWeights
) -> dict[str, Any]:
    """Return what plans/operating_points.json says of these weights: counts, no shares.

    `sets`: the judging sets by name; `tables`: those that teach.
    """
    named = find_named_thresholds(tables, weights)
    return {
        "verifier": verifier_id(),
        "points": {
            name: _measure_threshold(sets, weights, threshold) for name, threshold in named.items()
        },
        "numbers": [_measure_threshold(sets, weights, threshold) for threshold in NUMBERS],
    }


def _measure_threshold(
    sets: Mapping[str, PairTable], weights: LearnedWeights, threshold: float
) -> dict[str, Any]:
    counts = {name: count_served(table, weights, threshold) for name, table in sets.items()}
    return {"threshold": threshold, "sets": counts}


def count_served(table: PairTable, weights: LearnedWeights, threshold: float) -> dict[str, int]:
    """Count the pairs of each kind, and those that reach this score or that texts decide."""
    least = find_evidence_of(threshold, weights)
    served, same = table.rank(weigh_table(table, weights)) >= least, table.labels
    return {
        "right": int(same.sum()),
        "right_served": int((served & same).sum()),
        "traps": int((~same).sum()),
        "traps_served": int((served & ~same).sum()),
    }


def find_evidence_of(score: float, weights: LearnedWeights) -> float:
    """Return the evidence that has this score."""
    return weights.usual_evidence + float(_logit(score) - _logit(USUAL_SCORE))


def weigh_table(table: PairTable, weights: LearnedWeights) -> Floats:
    """Return the evidence of each pair of a table."""
    return table.features @ weights.evidence + weights.evidence_offset


def write_operating_points(
    sets: Mapping[str, PairTable], tables: Tables, path: Path = OPERATING_POINTS_PATH
) -> None:
    """Measure the committed weights and write the file. Raises OSError."""
    found = measure_operating_points(sets, tables, load_learned_weights())
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _logit(share: float) -> float:
    return float(np.log(share / (1 - share)))
