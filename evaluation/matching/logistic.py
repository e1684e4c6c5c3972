"""Logistic regression with a ridge, by Newton's method."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

STEPS, MAX_STEP = 60, 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Logistic:
    """`weights`: one a feature; evidence is their sum plus `offset`."""

    weights: Floats
    offset: float

    def weigh(self, features: Floats) -> Floats:
        """Return the evidence of each row: the logarithm of the odds."""
        found: Floats = features @ self.weights + self.offset
        return found


def fit_logistic(
    features: Floats, labels: NDArray[np.bool_], row_weights: Floats, *, ridge: float = 3.0
) -> Logistic:
    """Fit to rows x features. `ridge` holds the weights of scaled features near zero."""
    center, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    design = np.column_stack([(features - center) / scale, np.ones(len(features))])
    penalty = ridge * np.eye(design.shape[1])
    penalty[-1, -1] = 1e-6
    found = np.zeros(design.shape[1])
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-design @ found))
        gradient = design.T @ (row_weights * (labels - chance)) - penalty @ found
        curvature = (design * (row_weights * chance * (1 - chance))[:, None]).T @ design + penalty
        step = np.clip(np.linalg.solve(curvature, gradient), -MAX_STEP, MAX_STEP)
        found = found + step
        if np.abs(step).max() < 1e-9:
            break
    weights = found[:-1] / scale
    return Logistic(weights, float(found[-1] - weights @ center))
