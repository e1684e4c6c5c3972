"""Thresholds that have names: fitted to the traps that teach, counted on what judges."""

import json
from pathlib import Path

import numpy as np
import pytest

from evaluation.matching import operating_points
from evaluation.matching.operating_points import (
    count_served,
    find_evidence_at,
    find_evidence_of,
    find_named_thresholds,
    weigh_table,
    write_operating_points,
)
from evaluation.matching.sources import Pair
from evaluation.matching.tables import PairTable
from plans.strictness import STRICTNESS_NAMES, read_operating_points
from proxy.core.verification.pair_features import FEATURES
from proxy.engines.verifiers.weights import load_learned_weights, score_evidence, verifier_id

WEIGHTS = load_learned_weights()
COSINE = FEATURES.index("mean_cosine")


def make_table(traps: int, right: int = 10) -> PairTable:
    """Traps with evidence of 0, 1/traps, 2/traps ... 1 above none; right pairs, all passed."""
    pairs = [Pair(f"a {n}", f"b {n}", n >= traps, "made") for n in range(traps + right)]
    features = np.zeros((len(pairs), len(FEATURES)))
    aims = np.arange(traps + right) / traps * 3
    features[:, COSINE] = (aims - WEIGHTS.evidence_offset) / WEIGHTS.evidence[COSINE]
    return PairTable(
        pairs,
        features,
        np.zeros((len(pairs), 2)),
        passed=np.array([pair.same for pair in pairs]),
        refused=np.zeros(len(pairs), dtype=bool),
    )


def test_no_table_serves_more_than_its_share_of_traps() -> None:
    tables = [(make_table(100), 0.4), (make_table(1000), 1.0)]
    evidence = [weigh_table(table, WEIGHTS) for table, _ in tables]
    for shares in ((0.03, 0.2), (0.2, 0.03), (0.1, 0.1)):
        least = find_evidence_at(tables, evidence, shares)
        served = [
            (table.rank(each)[~table.labels] > least).mean()
            for (table, _), each in zip(tables, evidence, strict=True)
        ]
        assert all(share <= most for share, most in zip(served, shares, strict=True))
        assert any(share > most - 0.02 for share, most in zip(served, shares, strict=True)), (
            "a lower threshold would do"
        )


def test_names_are_ordered_and_never_stricter_than_the_usual_threshold() -> None:
    found = find_named_thresholds([(make_table(100), 0.4), (make_table(1000), 1.0)], WEIGHTS)
    assert tuple(found) == STRICTNESS_NAMES
    assert found["strict"] == 0.85 >= found["balanced"] >= found["wide"]


def test_a_score_and_its_evidence_are_one() -> None:
    for score in (0.5, 0.727, 0.85, 0.99):
        found = score_evidence(find_evidence_of(score, WEIGHTS), WEIGHTS.usual_evidence)
        assert found == pytest.approx(score)


def test_what_texts_decide_is_served_at_any_threshold() -> None:
    found = count_served(make_table(10, right=4), WEIGHTS, 0.999999)
    assert found == {"right": 4, "right_served": 4, "traps": 10, "traps_served": 0}
    assert count_served(make_table(10), WEIGHTS, 1e-6)["traps_served"] == 10


def test_what_is_written_is_what_plans_read(tmp_path: Path) -> None:
    path = tmp_path / "points.json"
    tables = [(make_table(100), 0.4), (make_table(1000), 1.0)]
    write_operating_points({"fow-cache": make_table(50)}, tables, path)
    found = read_operating_points(path)
    assert found.verifier == verifier_id()
    assert found.points["wide"].sets["fow-cache"].traps == 50
    assert json.loads(path.read_text())["points"]["strict"]["threshold"] == 0.85
    assert set(operating_points.TRAPS_SERVED) == set(STRICTNESS_NAMES) - {"strict"}
