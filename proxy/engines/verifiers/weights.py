"""Where the verifier's model is, and what its evidence weighs: committed here as JSON."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from proxy.core.verification.pair_features import FEATURES, SCREEN_FEATURES
from proxy.engines.inference.exported_models import (
    GRAPH_FILE,
    MINILM_INT8_ID,
    TOKENIZER_FILE,
    WORD_VECTORS_FILE,
)

# docs/verifier.md says what it was learned from.
LEARNED_WEIGHTS_PATH = Path(__file__).with_name("weights.json")

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LearnedWeights:
    """Evidence is the sum of features times weights, the logarithm of the odds.

    `usual_evidence`: scores USUAL_SCORE. Pairs whose screened evidence is below `screen_below` had
    no more than `screen_bound` evidence where this was learned.
    """

    evidence: Floats
    evidence_offset: float
    usual_evidence: float
    screen: Floats
    screen_offset: float
    screen_below: float
    screen_bound: float


USUAL_SCORE = 0.85


def load_learned_weights(path: Path = LEARNED_WEIGHTS_PATH) -> LearnedWeights:
    """Load the committed weights. Raises OSError, and KeyError for a missing feature."""
    row = orjson.loads(path.read_bytes())
    return LearnedWeights(
        evidence=np.array([row["evidence"][name] for name in FEATURES]),
        evidence_offset=row["evidence_offset"],
        usual_evidence=row["usual_evidence"],
        screen=np.array([row["screen"][name] for name in SCREEN_FEATURES]),
        screen_offset=row["screen_offset"],
        screen_below=row["screen_below"],
        screen_bound=row["screen_bound"],
    )


def compute_score(evidence: float, weights: LearnedWeights) -> float:
    """Return the score of this evidence, a probability."""
    usual = np.log(USUAL_SCORE / (1 - USUAL_SCORE))
    return float(1 / (1 + np.exp(-(evidence - weights.usual_evidence + usual))))


@cache
def verifier_id() -> str:
    """Return the id of the committed weights; scores under two ids are not comparable."""
    digest = hashlib.sha256(LEARNED_WEIGHTS_PATH.read_bytes()).hexdigest()[:12]
    return f"minilm-alignment@{digest}"


def is_prepared(models: Path) -> bool:
    """Whether the export exists; it is moved in atomically, so its files are complete."""
    files = [models / MINILM_INT8_ID / name for name in (GRAPH_FILE, TOKENIZER_FILE)]
    return all(file.is_file() for file in (*files, models / WORD_VECTORS_FILE))
