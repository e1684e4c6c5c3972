"""How two questions agree, in twelve numbers: by words alone, or by what a model makes of them.

Each unit of one text is held against the most similar unit of the other, "late interaction"
(Khattab and Zaharia 2020, ColBERT, arXiv 2004.12832). A trap has the same words but one, which
moves the mean of a text little and the worst unit much.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.matching.text_readings import TextReading, UnitVectors

Floats = NDArray[np.float64]

WORD_FEATURES = (
    "word_coverage_min",
    "content_coverage_max",
    "word_loss_max",
    "shorter_words",
    "length_ratio",
    "same_first_word",
    "shared_stems",
)
MODEL_FEATURES = (
    "mean_cosine",
    "token_coverage_min",
    "content_token_coverage_max",
    "worst_token_min",
    "worst_token_max",
)
FEATURES = WORD_FEATURES + MODEL_FEATURES


@dataclass(frozen=True, slots=True)
class _Side:
    """What of one text the other has.

    `coverage`: weighted mean of its units' best cosines; `plain`: the same without weights;
    `content`: of the content units; `loss`: the weight that the worst content unit lacks;
    `worst`: the lowest best cosine.
    """

    coverage: float
    plain: float
    content: float
    loss: float
    worst: float


def compute_features(asked: TextReading, stored: TextReading) -> Floats:
    """Compute `FEATURES`. Symmetric; zeros when a text has no words."""
    if not (
        asked.stems and stored.stems and len(asked.tokens.weights) and len(stored.tokens.weights)
    ):
        return np.zeros(len(FEATURES))
    words, tokens = _align(asked.words, stored.words), _align(asked.tokens, stored.tokens)
    shorter, longer = sorted((len(asked.stems), len(stored.stems)))
    ours, theirs = set(asked.stems), set(stored.stems)
    return np.array(
        [
            min(side.coverage for side in words),
            max(side.content for side in words),
            max(side.loss for side in words),
            shorter,
            shorter / longer,
            asked.stems[0] == stored.stems[0],
            len(ours & theirs) / len(ours | theirs),
            float(asked.mean @ stored.mean),
            min(side.plain for side in tokens),
            max(side.content for side in tokens),
            min(side.worst for side in tokens),
            max(side.worst for side in tokens),
        ]
    )


def _align(asked: UnitVectors, stored: UnitVectors) -> tuple[_Side, _Side]:
    cosines = asked.vectors @ stored.vectors.T
    return _summarize(asked, cosines.max(axis=1)), _summarize(stored, cosines.max(axis=0))


def _summarize(units: UnitVectors, best: NDArray[np.float32]) -> _Side:
    weights, content = units.weights, units.is_content
    if content.any():
        kept, own = best[content], weights[content]
        agreed, loss = float(own @ kept / own.sum()), float((own * (1 - kept)).max())
    else:
        agreed, loss = 1.0, 0.0
    return _Side(
        coverage=float(weights @ best / weights.sum()),
        plain=float(best.mean()),
        content=agreed,
        loss=loss,
        worst=float(best.min()),
    )
