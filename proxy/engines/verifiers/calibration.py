"""From what is known of a pair to the score: the probability
that one answer is right for both questions.

The network knows the questions it learned from better than others; the cosine knows less, but of
everything. So the evidence is a sum of both, and of two rules that are not sure. A logistic curve,
fitted on pairs that taught nothing, makes a probability of it.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Weights of the logit and of the cosine beyond its middle; what a doubt takes away. Chosen on
# tuning rows.
LOGIT_WEIGHT, COSINE_WEIGHT, COSINE_MIDDLE = 0.3, 12.0, 0.85
RULE_PENALTIES = {"capitals": 1.0, "replaced": 1.5}
# Beyond it the network is no surer, only louder.
MAX_LOGIT = 4.0


def combine_evidence(logits: Floats, similarities: Floats, doubts: Floats) -> Floats:
    """For each pair. `similarities`: cosines of all-MiniLM-L6-v2; `doubts`: from `doubt`."""
    found: Floats = (
        LOGIT_WEIGHT * np.clip(logits, -MAX_LOGIT, MAX_LOGIT)
        + COSINE_WEIGHT * (similarities - COSINE_MIDDLE)
        - doubts
    )
    return found


def sum_penalties(objections: list[str]) -> float:
    """What these rules take away together."""
    return sum(RULE_PENALTIES[name] for name in objections)


def compute_probability(values: Floats, curve: Floats) -> Floats:
    """Along a logistic curve, given as (slope, offset)."""
    found: Floats = 1 / (1 + np.exp(-(curve[0] * values + curve[1])))
    return found
