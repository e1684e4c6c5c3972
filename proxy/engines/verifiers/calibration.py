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
LOGIT, COSINE, MIDDLE = 0.3, 12.0, 0.85
DOUBTS = {"capitals": 1.0, "replaced": 1.5}
# Beyond it the network is no surer, only louder.
LOUDEST = 4.0


def evidence(logits: Floats, similarities: Floats, doubts: Floats) -> Floats:
    """For each pair. `similarities`: cosines of all-MiniLM-L6-v2; `doubts`: from `doubt`."""
    found: Floats = (
        LOGIT * np.clip(logits, -LOUDEST, LOUDEST) + COSINE * (similarities - MIDDLE) - doubts
    )
    return found


def doubt(objections: list[str]) -> float:
    """What these rules take away together."""
    return sum(DOUBTS[name] for name in objections)


def probability(values: Floats, curve: Floats) -> Floats:
    """Along a logistic curve, given as (slope, offset)."""
    found: Floats = 1 / (1 + np.exp(-(curve[0] * values + curve[1])))
    return found
