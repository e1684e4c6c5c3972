"""How sure a measured rate is, and which threshold the evidence supports."""

import random
from collections.abc import Iterator

import pytest
from scipy.stats import binomtest

from stats.analysis import confidence
from stats.analysis.error_rate import (
    MIN_WINDOW_SAMPLES,
    Sample,
    Verdict,
    compute_window_size,
    estimate_error_rate,
    learn_threshold,
)


def outcomes(score: float, right: int, wrong: int = 0, unclear: int = 0) -> list[Sample]:
    verdicts: list[Verdict] = [*["right"] * right, *["wrong"] * wrong, *["unclear"] * unclear]  # type: ignore[list-item]  # of str
    return [Sample(0.0, score, verdict) for verdict in verdicts]


@pytest.mark.parametrize(
    ("wrong", "trials"), [(0, 1), (0, 10), (1, 10), (10, 100), (3, 7), (7, 7), (81, 263), (1, 2000)]
)
def test_the_interval_is_that_of_scipy(wrong: int, trials: int) -> None:
    known = binomtest(wrong, trials).proportion_ci(0.95, method="wilson")
    assert confidence.wilson_interval(wrong, trials) == pytest.approx(
        (known.low, known.high), abs=2e-5
    )


def test_the_interval_is_that_of_the_literature() -> None:
    """R. G. Newcombe, Two-sided confidence intervals for the single proportion,
    Statistics in Medicine 17 (1998), table I, method 3."""
    assert confidence.wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert confidence.wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert confidence.wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert confidence.wilson_interval(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


def test_without_trials_everything_is_possible() -> None:
    assert confidence.wilson_interval(0, 0) == (0.0, 1.0)


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="3 of 2"):
        confidence.wilson_interval(3, 2)
    with pytest.raises(ValueError, match="limit"):
        confidence.count_trials_needed(0, 0, 0.0)


@pytest.mark.parametrize("limit", [0.002, 0.01, 0.05, 0.3])
def test_so_many_more_right_ones_vouch_for_the_budget_and_one_less_does_not(limit: float) -> None:
    for wrong, trials in cases():
        needed = confidence.count_trials_needed(wrong, trials, limit)
        assert confidence.wilson_interval(wrong, trials + needed)[1] <= limit + 1e-9
        if needed and trials + needed > max(wrong, 1):
            assert confidence.wilson_interval(wrong, trials + needed - 1)[1] > limit - 1e-9


def cases() -> Iterator[tuple[int, int]]:
    yield from ((wrong, trials) for wrong in range(8) for trials in range(wrong, 2500, 61))


def test_a_budget_of_one_per_cent_takes_381_right_answers() -> None:
    assert confidence.count_trials_needed(0, 0, 0.01) == 381


def test_what_cannot_be_told_counts_for_neither_bound() -> None:
    found = estimate_error_rate(
        outcomes(0.9, right=90, wrong=5, unclear=5), limit=0.01, threshold=0.85
    )
    assert (found.samples, found.wrong, found.unclear) == (100, 5, 5)
    assert found.rate == pytest.approx(5 / 95)
    assert found.lower == confidence.wilson_interval(5, 100)[0]
    assert found.upper == confidence.wilson_interval(10, 100)[1]
    assert found.is_over_budget


def test_a_few_wrong_ones_turn_nothing_off() -> None:
    assert not estimate_error_rate(
        outcomes(0.9, right=0, wrong=3), limit=0.01, threshold=0.85
    ).is_over_budget
    assert estimate_error_rate(
        outcomes(0.9, right=0, wrong=4), limit=0.01, threshold=0.85
    ).is_over_budget


def test_only_what_would_be_served_is_measured() -> None:
    found = estimate_error_rate(
        [*outcomes(0.8, right=0, wrong=50), *outcomes(0.9, right=10)], limit=0.01, threshold=0.85
    )
    assert (found.samples, found.wrong) == (10, 0)


def test_no_outcome_says_nothing() -> None:
    found = estimate_error_rate([], limit=0.01, threshold=0.85)
    assert (
        found.rate,
        found.lower,
        found.upper,
        found.needed,
        found.is_within_budget,
        found.is_over_budget,
    ) == (
        None,
        0.0,
        1.0,
        381,
        False,
        False,
    )


def test_the_window_can_vouch_for_small_budgets_too() -> None:
    assert compute_window_size(0.01) == MIN_WINDOW_SAMPLES
    assert confidence.count_trials_needed(0, 0, 0.0005) <= compute_window_size(0.0005)


def test_without_evidence_the_plan_s_threshold_holds() -> None:
    assert learn_threshold([], limit=0.01, threshold=0.85) == 0.85
    # 100 are too few for 1 %.
    assert learn_threshold(outcomes(0.79, right=100), limit=0.01, threshold=0.85) == 0.85


def test_a_band_that_is_wrong_for_certain_is_served_no_more() -> None:
    found = learn_threshold(
        [*outcomes(0.87, right=20, wrong=6), *outcomes(0.93, right=300)], limit=0.01, threshold=0.85
    )
    assert found == 0.88
    after = estimate_error_rate(outcomes(0.93, right=300), limit=0.01, threshold=found)
    assert not after.is_over_budget


def test_where_all_is_wrong_no_threshold_helps() -> None:
    everywhere = [
        sample for score in (0.87, 0.93, 1.0) for sample in outcomes(score, right=5, wrong=10)
    ]
    assert learn_threshold(everywhere, limit=0.01, threshold=0.85) == 0.85
    assert estimate_error_rate(everywhere, limit=0.01, threshold=0.85).is_over_budget


def test_a_band_that_may_be_chance_stays() -> None:
    assert (
        learn_threshold(
            [*outcomes(0.87, right=200, wrong=3), *outcomes(0.93, right=300)],
            limit=0.01,
            threshold=0.85,
        )
        == 0.85
    )


def test_a_lower_threshold_needs_evidence_all_the_way_down() -> None:
    above = outcomes(0.9, right=500)
    near = [
        sample for score in (0.81, 0.83, 0.85, 0.87, 0.89) for sample in outcomes(score, right=60)
    ]
    assert learn_threshold([*above, *near], limit=0.01, threshold=0.85) == 0.8
    gap = [sample for sample in near if sample.score != 0.83]
    assert learn_threshold([*above, *gap], limit=0.01, threshold=0.85) == 0.84
    thin = [*gap, *outcomes(0.83, right=20)]
    assert learn_threshold([*above, *thin], limit=0.01, threshold=0.85) == 0.84


def test_a_lower_band_with_wrong_ones_stays_closed() -> None:
    found = [
        *outcomes(0.9, right=2000),
        *outcomes(0.83, right=55, wrong=5),
        *outcomes(0.85, right=60),
    ]
    assert learn_threshold(found, limit=0.01, threshold=0.84) == 0.84


def test_a_plan_within_its_budget_is_seldom_turned_off() -> None:
    """At half of its budget, over 2,000 samples, looked at after each:
    the simulation behind WRONG_TO_TURN_OFF."""
    source = random.Random(7)
    runs = 200
    assert sum(turned_off(source, rate=0.005) for _ in range(runs)) <= 0.04 * runs
    assert sum(turned_off(source, rate=0.1) for _ in range(20)) == 20


def turned_off(source: random.Random, *, rate: float) -> bool:
    wrong = 0
    for trials in range(1, MIN_WINDOW_SAMPLES + 1):
        if source.random() < rate:
            wrong += 1
            if estimate_error_rate(
                outcomes(0.9, right=trials - wrong, wrong=wrong), limit=0.01, threshold=0.85
            ).is_over_budget:
                return True
    return False
