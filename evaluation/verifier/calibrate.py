"""What evidence is worth: the probability that both questions have the same answer,
among the pairs that come as far as the verifier.

Those are the pairs whose cosine is above the floor, that do not read the same and to which no sure
rule objects. A logistic curve (Platt
1999) says how fast the probability grows with the evidence, on pairs of the tuning slice. Where
      0.85, the usual threshold, lies is set by
the labelled traps of that slice, not by how often traps come in it: nobody knows how often they
come elsewhere.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from evaluation.verifier.sources import Pair
from proxy.core.verification.equivalence import equivalent
from proxy.core.verification.rules.rule_registry import SURE_RULES, veto_question
from proxy.pipeline.question_matching import MIN_COMPARED_SIMILARITY

Floats = NDArray[np.float64]
Embed = Callable[[Sequence[str]], NDArray[np.float32]]

STEPS = 50
# The score that lies where at most this share of the tuning slice's labelled traps is served.
USUAL, SERVED = 0.85, 0.02


def cosines(pairs: Sequence[Pair], embed: Embed) -> Floats:
    """One a pair."""
    found: Floats = (
        (embed([pair.a for pair in pairs]) * embed([pair.b for pair in pairs]))
        .sum(axis=1)
        .astype(np.float64)
    )
    return found


def arrives(pairs: Sequence[Pair], near: Floats) -> NDArray[np.bool_]:
    """For each pair, whether the verifier is asked about it."""
    return np.array(
        [
            cosine >= MIN_COMPARED_SIMILARITY and _comes(pair)
            for pair, cosine in zip(pairs, near, strict=True)
        ]
    )


def curve(values: Floats, same: NDArray[np.bool_], traps: Floats, of: int) -> NDArray[np.float32]:
    """Slope and offset.

    `values`, `same`: of tuning pairs; `traps`: of those among `of` labelled traps that arrive.
    """
    slope = _slope(values, same)
    allowed = int(SERVED * of)
    ranked = np.sort(traps)[::-1]
    usual = ranked[allowed] + 1e-3 if len(ranked) > allowed else values.min()
    return np.array([slope, np.log(USUAL / (1 - USUAL)) - slope * usual], dtype=np.float32)


def _slope(values: Floats, same: NDArray[np.bool_]) -> float:
    """Of the logistic curve, by Newton's method, with Platt's smoothed targets
    and both labels of one weight."""
    right, wrong = int(same.sum()), int((~same).sum())
    wanted = np.where(same, (right + 1) / (right + 2), 1 / (wrong + 2))
    weights = np.where(same, 0.5 / max(1, right), 0.5 / max(1, wrong)) * len(same)
    design = np.column_stack([values, np.ones_like(values)])
    found = np.array([1.0, 0.0])
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-design @ found))
        gradient = design.T @ (weights * (wanted - chance))
        curvature = (
            design * (weights * chance * (1 - chance))[:, None]
        ).T @ design + 1e-6 * np.eye(2)
        found = found + np.clip(np.linalg.solve(curvature, gradient), -2, 2)
    return max(0.1, float(found[0]))


def _comes(pair: Pair) -> bool:
    return not equivalent(pair.a, pair.b) and veto_question(pair.a, pair.b, SURE_RULES) is None
