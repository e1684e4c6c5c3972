"""Logistic regression with a ridge, whose weights may be held to a sign."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Floats = NDArray[np.float64]

MAX_STEPS = 2000


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
    features: Floats,
    labels: NDArray[np.bool_],
    row_weights: Floats,
    *,
    signs: Sequence[int],
    ridge: float = 3.3,
) -> Logistic:
    """Fit to rows x features. `signs`: 1, -1, or 0 for either, of each weight.

    `ridge` holds the weights of scaled features near zero.
    """
    center, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    design = np.column_stack([(features - center) / scale, np.ones(len(features))])
    penalty = np.append(np.full(features.shape[1], ridge), 0.0)

    def compute_loss(weights: Floats) -> tuple[float, Floats]:
        odds = design @ weights
        chance = 1 / (1 + np.exp(-odds))
        loss = row_weights @ (np.logaddexp(0, odds) - labels * odds)
        slope = design.T @ (row_weights * (chance - labels)) + penalty * weights
        return float(loss + (penalty * weights**2).sum() / 2), slope

    bounds = [(0 if sign > 0 else None, 0 if sign < 0 else None) for sign in signs]
    found = minimize(
        compute_loss,
        np.zeros(design.shape[1]),
        jac=True,
        method="L-BFGS-B",
        bounds=[*bounds, (None, None)],
        options={"maxiter": MAX_STEPS},
    ).x
    weights = found[:-1] / scale
    return Logistic(weights, float(found[-1] - weights @ center))
