"""How two questions agree, in a few numbers.

Each word, or token, of one text is held against the most similar one of the other, "late
interaction" (Khattab and Zaharia 2020, ColBERT, arXiv 2004.12832). A trap has the same words but
one, which moves the mean of a text little and its worst word much.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy.core.verification.rules.rule_registry import DOUBTFUL_RULES

Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]
TokenVectors = NDArray[np.floating[Any]]

# With the sign that the weight of each may have: nothing speaks for a pair by being less alike.
FEATURE_SIGNS = {
    "word_loss_max": -1,  # how rare a word is times how much the other text lacks it, the worst
    "mean_cosine": 1,  # of both texts
    "worst_token_min": 1,  # the best cosine of the token that the other text has least of
    "worst_token_max": 1,  # the same of the text of which the other has more
    **dict.fromkeys(DOUBTFUL_RULES, -1),  # 1 where the rule objects
}
FEATURES = tuple(FEATURE_SIGNS)
# What the words alone tell of a pair, from which its evidence is bounded before anything is read.
CHEAP_FEATURES = ("word_loss_max", "word_cosine")


@dataclass(frozen=True, slots=True, eq=False)
class WordReading:
    """A text by the table of word vectors.

    `vectors`: unit rows of its content words; `weights`: how rare each of them is, about one;
    `mean`: of all its words, of unit length, zeros if it has none.
    """

    vectors: Vectors
    weights: Vectors
    mean: Vectors


@dataclass(frozen=True, slots=True, eq=False)
class TokenReading:
    """A text as a model reads it. `vectors`: unit rows of its tokens; `mean`: its own unit vector.

    `is_whole`: no token was left out.
    """

    vectors: TokenVectors
    mean: Vectors
    is_whole: bool


def measure_word_loss(asked: WordReading, stored: WordReading) -> float:
    """Return the largest loss of a word of either text in the other. Symmetric, 0 or more."""
    if not (len(asked.weights) and len(stored.weights)):
        return float(max(asked.weights.max(initial=0), stored.weights.max(initial=0)))
    cosines = asked.vectors @ stored.vectors.T
    ours = asked.weights * (1 - cosines.max(axis=1))
    theirs = stored.weights * (1 - cosines.max(axis=0))
    return float(max(ours.max(), theirs.max()))


def compute_cheap_features(asked: WordReading, stored: WordReading) -> Floats:
    """Compute `CHEAP_FEATURES`. Symmetric."""
    return np.array([measure_word_loss(asked, stored), float(asked.mean @ stored.mean)])


def compute_features(
    asked: tuple[WordReading, TokenReading],
    stored: tuple[WordReading, TokenReading],
    objections: Collection[str],
) -> Floats:
    """Compute `FEATURES`. Symmetric; the worst values when a text has no tokens.

    `objections`: those of `DOUBTFUL_RULES` that object.
    """
    doubts = [float(name in objections) for name in DOUBTFUL_RULES]
    loss, ours, theirs = measure_word_loss(asked[0], stored[0]), asked[1], stored[1]
    if not (len(ours.vectors) and len(theirs.vectors)):
        return np.array([max(1.0, loss), 0.0, 0.0, 0.0, *doubts])
    # Of 16 bits where they are remembered, which numpy multiplies slowly.
    cosines = ours.vectors.astype(np.float32) @ theirs.vectors.astype(np.float32).T
    worst = cosines.max(axis=1).min(), cosines.max(axis=0).min()
    return np.array([loss, float(ours.mean @ theirs.mean), min(worst), max(worst), *doubts])
