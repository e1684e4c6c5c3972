"""What the verifier's evidence weighs, committed here as JSON, and the score that comes of it."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from proxy.core.verification.pair_features import CHEAP_FEATURES, FEATURES

# docs/verifier.md says what it was learned from.
LEARNED_WEIGHTS_PATH = Path(__file__).with_name("weights.json")

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LearnedWeights:
    """Evidence is the sum of features times weights, the logarithm of the odds.

    `usual_evidence`: scores USUAL_SCORE. `bound`, `bound_offset`: weigh CHEAP_FEATURES to evidence
    that all but a thousandth of the teaching pairs do not exceed.
    """

    evidence: Floats
    evidence_offset: float
    usual_evidence: float
    bound: Floats
    bound_offset: float


USUAL_SCORE = 0.85


def load_learned_weights(path: Path = LEARNED_WEIGHTS_PATH) -> LearnedWeights:
    """Load the committed weights. Raises OSError, and KeyError for a missing feature."""
    row = orjson.loads(path.read_bytes())
    return LearnedWeights(
        evidence=np.array([row["evidence"][name] for name in FEATURES]),
        evidence_offset=row["evidence_offset"],
        usual_evidence=row["usual_evidence"],
        bound=np.array([row["bound"][name] for name in CHEAP_FEATURES]),
        bound_offset=row["bound_offset"],
    )


def compute_score(features: Floats, weights: LearnedWeights) -> float:
    """Return the score of a pair with these `FEATURES`, a probability."""
    evidence = float(features @ weights.evidence) + weights.evidence_offset
    return score_evidence(evidence, weights.usual_evidence)


def bound_score(cheap_features: Floats, weights: LearnedWeights) -> float:
    """Return the score that hardly a pair with these `CHEAP_FEATURES` exceeds."""
    evidence = float(cheap_features @ weights.bound) + weights.bound_offset
    return score_evidence(evidence, weights.usual_evidence)


def score_evidence(evidence: float, usual_evidence: float) -> float:
    """Return the score of this evidence, a probability; `usual_evidence` scores USUAL_SCORE."""
    usual = np.log(USUAL_SCORE / (1 - USUAL_SCORE))
    return float(1 / (1 + np.exp(-(evidence - usual_evidence + usual))))


@cache
def verifier_id() -> str:
    """Return the id of the committed weights; scores under two ids are not comparable."""
    digest = hashlib.sha256(LEARNED_WEIGHTS_PATH.read_bytes()).hexdigest()[:12]
    return f"minilm-alignment@{digest}"
