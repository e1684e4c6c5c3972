"""Trees that were learned elsewhere: each row ends in one leaf of each."""

import numpy as np
import pytest

from proxy.core.verification.boosted_trees import build_trees

SPLIT = [[0, 0.5, 1, 2, 0.0], [-1, 0.0, 0, 0, -1.0], [-1, 0.0, 0, 0, 1.0]]
CHAIN = [
    [1, 0.5, 1, 2, 0.0],
    [-1, 0.0, 0, 0, 10.0],
    [0, 2.0, 3, 4, 0.0],
    [-1, 0.0, 0, 0, 20.0],
    [-1, 0.0, 0, 0, 30.0],
]


@pytest.mark.parametrize(
    ("row", "evidence"), [((0.5, 0.0), 9.5), ((0.6, 1.0), 21.5), ((3.0, 1.0), 31.5)]
)
def test_leaves_and_the_offset_are_added_up(row: tuple[float, float], evidence: float) -> None:
    assert build_trees([SPLIT, CHAIN], 0.5).weigh(np.array(row)) == pytest.approx(evidence)


def test_a_single_leaf_is_a_tree() -> None:
    assert build_trees([[[-1, 0.0, 0, 0, 2.0]]], 0.0).weigh(np.array([1.0])) == 2.0


def test_a_child_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="node 0 of tree 0"):
        build_trees([[[0, 0.5, 1, 7, 0.0], [-1, 0.0, 0, 0, 1.0]]], 0.0)
