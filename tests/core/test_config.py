"""Around a wrong pair a hit must be nearer; elsewhere nothing changes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.config import (
    MAX_PENALTY_RADIUS,
    FeedbackPenalties,
    FeedbackPenalty,
    compute_penalty,
)
from proxy.core.types import Vector


def at(degrees: float) -> Vector:
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], np.float32)


@given(similarity=st.floats(0.5, 1), number=st.floats(0, 1))
def test_the_wrong_pair_lies_inside_and_below_the_threshold(
    similarity: float, number: float
) -> None:
    radius, threshold = compute_penalty(similarity, number)
    assert radius < similarity
    assert radius <= MAX_PENALTY_RADIUS
    assert number <= threshold <= 1
    assert threshold > number or number > 0.999


def test_a_question_in_the_neighbourhood_takes_the_highest_threshold_asked_for() -> None:
    wide, narrow = (
        FeedbackPenalty(embedder="e", vector=at(0), radius=radius, threshold=threshold)
        for radius, threshold in ((0.9, 0.95), (0.99, 0.97))
    )
    doubts = FeedbackPenalties(by_bucket={"b": (wide, narrow)})
    assert [doubts.required_threshold("b", at(degrees), "e") for degrees in (0, 15, 60)] == [
        0.97,
        0.95,
        0.0,
    ]
    assert doubts.required_threshold("other", at(0), "e") == 0
    assert (
        doubts.required_threshold(
            "b", np.ones(3, np.float32), "another embedder, of another dimension"
        )
        == 0
    )


def test_half_way_to_one() -> None:
    assert compute_penalty(0.9, 0.9) == pytest.approx((0.895, 0.95))
    assert compute_penalty(0.99, 0.8) == pytest.approx((MAX_PENALTY_RADIUS, 0.9))
