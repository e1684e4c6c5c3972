"""Evaluate boosted regression trees: what their leaves say of a row of numbers, added up.

They are learned by `evaluation.conversations.boosting` and stored as JSON.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class BoostedTrees:
    """Trees x nodes, the root first.

    From a node a row goes `left` if its `features` is at most `thresholds`, else `right`; a leaf
    leads to itself and has a value. `depth`: steps to every leaf. `offset` is added to the sum.
    """

    features: NDArray[np.int64]
    thresholds: Floats
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    values: Floats
    offset: float
    depth: int

    def weigh(self, row: Floats) -> float:
        """Return the evidence of one row: the logarithm of the odds."""
        trees = np.arange(len(self.features))
        at = np.zeros(len(trees), dtype=np.int64)
        for _ in range(self.depth):
            goes_left = row[self.features[trees, at]] <= self.thresholds[trees, at]
            at = np.where(goes_left, self.left[trees, at], self.right[trees, at])
        return float(self.values[trees, at].sum()) + self.offset


def build_trees(trees: Sequence[Sequence[Sequence[Any]]], offset: float) -> BoostedTrees:
    """Build from nodes [feature, threshold, left, right, value]; a leaf has feature -1.

    Raises ValueError for a tree without nodes or with a child that is none.
    """
    count = max(map(len, trees))
    table = np.zeros((len(trees), count, 5))
    table[:, :, 2:4] = np.arange(count)[None, :, None]  # a leaf leads to itself
    for place, nodes in enumerate(trees):
        for node, (feature, threshold, left, right, value) in enumerate(nodes):
            is_leaf = feature < 0
            children = (node, node) if is_leaf else (left, right)
            if not all(node <= child < len(nodes) for child in children):
                raise ValueError(f"node {node} of tree {place} has no such children")
            table[place, node] = (max(feature, 0), threshold, *children, value)
    whole = table[:, :, [0, 2, 3]].astype(np.int64)
    return BoostedTrees(
        features=whole[:, :, 0],
        thresholds=table[:, :, 1],
        left=whole[:, :, 1],
        right=whole[:, :, 2],
        values=table[:, :, 4],
        offset=offset,
        depth=count // 2,  # a chain of splits has as many leaves as splits, and one
    )
