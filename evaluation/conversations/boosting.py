"""Learn boosted regression trees for yes or no (Friedman 2001), whose signs may be held.

Small on purpose: numbers in a few bins, trees of a few leaves, the best leaf split first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Node = list[float]  # as in proxy.core.verification.boosted_trees

MAX_BINS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class BoostingPlan:
    """`min_weight`: of the rows of a leaf; `ridge`: holds its value near zero."""

    trees: int = 100
    leaves: int = 4
    rate: float = 0.06
    min_weight: float = 60.0
    ridge: float = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class _Split:
    gain: float
    feature: int
    code: int
    left: float
    right: float


@dataclass(slots=True, eq=False)
class _Leaf:
    """`low` and `high`: between which its value, and those of all below it, must lie."""

    rows: Rows
    node: int
    low: float = -np.inf
    high: float = np.inf
    split: _Split | None = field(default=None)


class TreeLearner:
    """`signs`: 1 if more of a feature may only speak for, -1 only against, 0 for either."""

    def __init__(self, features: Floats, signs: Sequence[int], plan: BoostingPlan) -> None:
        self._plan, self._signs = plan, np.array(signs)
        self._edges = [_find_edges(column) for column in features.T]
        self._codes = np.column_stack(
            [
                np.searchsorted(edges, column, side="left")
                for edges, column in zip(self._edges, features.T, strict=True)
            ]
        ).astype(np.int64)
        self._flat = self._codes + np.arange(features.shape[1]) * (MAX_BINS + 1)

    def learn(self, labels: NDArray[np.bool_], weights: Floats) -> tuple[list[list[Node]], float]:
        """Return the trees and the offset. `weights`: one a row."""
        share = float(weights @ labels / weights.sum())
        offset = float(np.log(share / (1 - share)))
        evidence = np.full(len(labels), offset)
        trees: list[list[Node]] = []
        for _ in range(self._plan.trees):
            chance = 1 / (1 + np.exp(-evidence))
            slopes, bends = weights * (labels - chance), weights * chance * (1 - chance)
            nodes, leaves = self._grow(slopes, bends, weights)
            for leaf in leaves:
                evidence[leaf.rows] += nodes[leaf.node][4]
            trees.append(nodes)
        return trees, offset

    def _grow(
        self, slopes: Floats, bends: Floats, weights: Floats
    ) -> tuple[list[Node], list[_Leaf]]:
        """Grow a tree; return its nodes and leaves. `slopes`, `bends`: of the loss, by row."""
        nodes: list[Node] = [[-1, 0.0, 0, 0, 0.0]]
        leaves = [_Leaf(np.arange(len(slopes)), 0)]
        leaves[0].split = self._find_split(leaves[0], slopes, bends, weights)
        while len(leaves) < self._plan.leaves:
            best = max(leaves, key=lambda leaf: leaf.split.gain if leaf.split else 0.0)
            if best.split is None:
                break
            leaves.remove(best)
            for leaf in self._divide(best, best.split, nodes):
                leaf.split = self._find_split(leaf, slopes, bends, weights)
                leaves.append(leaf)
        return nodes, leaves

    def _divide(self, leaf: _Leaf, split: _Split, nodes: list[Node]) -> tuple[_Leaf, _Leaf]:
        goes_left = self._codes[leaf.rows, split.feature] <= split.code
        left, right = len(nodes), len(nodes) + 1
        threshold = float(self._edges[split.feature][split.code])
        nodes[leaf.node] = [split.feature, threshold, left, right, 0.0]
        nodes.append([-1, 0.0, 0, 0, self._plan.rate * split.left])
        nodes.append([-1, 0.0, 0, 0, self._plan.rate * split.right])
        one = _Leaf(leaf.rows[goes_left], left, leaf.low, leaf.high)
        two = _Leaf(leaf.rows[~goes_left], right, leaf.low, leaf.high)
        middle, sign = (split.left + split.right) / 2, self._signs[split.feature]
        if sign > 0:
            one.high = two.low = middle
        elif sign < 0:
            one.low = two.high = middle
        return one, two

    def _find_split(
        self, leaf: _Leaf, slopes: Floats, bends: Floats, weights: Floats
    ) -> _Split | None:
        """Return the split that lowers the loss most, None if none is allowed."""
        flat = self._flat[leaf.rows]
        size = (flat.shape[1], MAX_BINS + 1)
        below = [
            np.bincount(
                flat.ravel(), np.repeat(each[leaf.rows], size[0]), minlength=size[0] * size[1]
            )
            .reshape(size)
            .cumsum(axis=1)
            for each in (slopes, bends, weights)
        ]
        slope, bend, weight = (each[:, :-1] for each in below)
        totals = [each[:, -1:] for each in below]
        ridge = self._plan.ridge
        left = np.clip(slope / (bend + ridge), leaf.low, leaf.high)
        right = np.clip((totals[0] - slope) / (totals[1] - bend + ridge), leaf.low, leaf.high)
        whole = totals[0] / (totals[1] + ridge)
        gain = (
            _score(slope, bend + ridge, left)
            + _score(totals[0] - slope, totals[1] - bend + ridge, right)
            - _score(totals[0], totals[1] + ridge, whole)
        )
        least = self._plan.min_weight
        allowed = (weight >= least) & (totals[2] - weight >= least)
        allowed &= self._signs[:, None] * (right - left) >= 0
        gain = np.where(allowed, gain, 0.0)
        feature, code = np.unravel_index(int(gain.argmax()), gain.shape)
        if gain[feature, code] <= 0:
            return None
        return _Split(
            float(gain[feature, code]),
            int(feature),
            int(code),
            float(left[feature, code]),
            float(right[feature, code]),
        )


def _find_edges(column: Floats) -> Floats:
    """Return at most MAX_BINS bounds; a value lies in the first bin whose bound it is not above."""
    values = np.unique(column)
    if len(values) > MAX_BINS:
        values = np.unique(np.quantile(column, np.linspace(0, 1, MAX_BINS)))
    return np.append((values[:-1] + values[1:]) / 2, values[-1]) if len(values) else values


def _score(slope: Floats, bend: Floats, value: Floats) -> Floats:
    """Return how much of the loss a leaf of this value takes away."""
    found: Floats = slope * value - bend * value**2 / 2
    return found
