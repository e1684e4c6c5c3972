"""Compute a pair's score: the probability that one answer is right for both questions.

The network is better on questions it learned from; the cosine knows less, but of everything. So the
evidence is a sum of both, minus penalties of two rules that are not sure. A logistic curve, fitted
on pairs not used for training, turns it into a probability.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Weights of the logit and of the cosine above its middle, and the penalties of the unsure rules.
# Chosen on tuning rows.
LOGIT_WEIGHT, COSINE_WEIGHT, COSINE_MIDDLE = 0.3, 12.0, 0.85
RULE_PENALTIES = {"capitals": 1.0, "replaced": 1.5}
# Beyond this a logit is larger but no more certain.
MAX_LOGIT = 4.0


def combine_evidence(logits: Floats, similarities: Floats, doubts: Floats) -> Floats:
    """Combine logits, cosines of all-MiniLM-L6-v2 and penalties (`sum_penalties`), per pair."""
    found: Floats = (
        LOGIT_WEIGHT * np.clip(logits, -MAX_LOGIT, MAX_LOGIT)
        + COSINE_WEIGHT * (similarities - COSINE_MIDDLE)
        - doubts
    )
    return found


def sum_penalties(objections: list[str]) -> float:
    """Sum the penalties of these rules."""
    return sum(RULE_PENALTIES[name] for name in objections)


def compute_probability(values: Floats, curve: Floats) -> Floats:
    """Apply a logistic curve, given as (slope, offset)."""
    found: Floats = 1 / (1 + np.exp(-(curve[0] * values + curve[1])))
    return found
