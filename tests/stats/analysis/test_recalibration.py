"""Which threshold labelled pairs support, and who can move it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from stats.analysis.error_rate import Verdict
from stats.analysis.recalibration import (
    MIN_FRESH_PAIRS,
    MIN_FRESH_PAIRS_BELOW,
    MIN_PAIRS,
    CalibrationTerms,
    LabelledPair,
    judge_fresh_pairs,
    propose_threshold,
)

OWN = CalibrationTerms(target=0.01, threshold=0.85, floor=0.62, is_shared=False, users=1)
SHARED = replace(OWN, is_shared=True)


def pairs(
    count: int, score: float, verdict: Verdict = "right", source: int = 1
) -> list[LabelledPair]:
    return [LabelledPair(0.0, score, verdict, source) for _ in range(count)]


def all_right(source: int, above: int = 400) -> list[LabelledPair]:
    """So many right pairs well above the threshold, and 60 in each band from 0.80 to there."""
    bands = [pair for score in (0.81, 0.83, 0.85) for pair in pairs(60, score, source=source)]
    return bands + pairs(above, 0.89, source=source)


def test_pairs_that_are_right_down_to_a_score_lower_the_threshold_to_it() -> None:
    assert propose_threshold(all_right(1), OWN).threshold == 0.81


def test_too_few_pairs_propose_nothing() -> None:
    found = propose_threshold(all_right(1)[: MIN_PAIRS - 1], OWN)
    assert found.threshold is None
    assert found.reason == "199 of 200 labelled pairs"


def test_right_pairs_too_few_for_the_target_propose_nothing() -> None:
    # Down to 0.84 there are 260, all right: the rate of wrong ones may still be 1.5 %.
    assert propose_threshold(all_right(1, 200), OWN).threshold is None
    assert propose_threshold(all_right(1, 200), replace(OWN, target=0.02)).threshold == 0.81


def test_wrong_pairs_just_above_the_threshold_raise_it() -> None:
    found = propose_threshold(pairs(20, 0.87, "wrong") + pairs(200, 0.93), OWN)
    assert found.threshold == 0.88


def test_unclear_pairs_below_lower_nothing() -> None:
    some = all_right(1) + pairs(4, 0.83, "unclear")
    assert propose_threshold(some, OWN).threshold is None


def test_no_proposal_lies_below_the_floor_or_where_no_pairs_are() -> None:
    assert propose_threshold(all_right(1), replace(OWN, floor=0.82)).threshold == 0.82
    gap = [*pairs(400, 0.87), *pairs(400, 0.71)]
    assert propose_threshold(gap, OWN).threshold is None


def test_a_key_that_floods_right_pairs_lowers_no_threshold_of_others() -> None:
    flood = [pair for score in (0.81, 0.83, 0.85) for pair in pairs(3_000, score, source=9)]
    found = propose_threshold(pairs(600, 0.9, source=1) + flood, OWN)
    assert found.threshold is None
    assert found.reason == "0.81 rests on the pairs of one key, 9000 of 9600"
    # Without that key's pairs others support it as well.
    assert propose_threshold(all_right(1) + all_right(2) + flood, OWN).threshold == 0.81


def test_the_only_source_of_pairs_decides_for_nobody_else_who_uses_the_plan() -> None:
    assert propose_threshold(all_right(1), replace(OWN, users=2)).threshold is None
    assert propose_threshold(all_right(1), replace(SHARED, users=2)).threshold is None


def test_a_key_whose_own_pairs_are_wrong_there_is_not_outvoted() -> None:
    crowd = [pair for source in (1, 2, 3) for _ in range(20) for pair in all_right(source)]
    found = propose_threshold(crowd + pairs(6, 0.83, "wrong", 7) + pairs(60, 0.9, source=7), OWN)
    assert found.threshold is None
    assert found.reason == "the pairs of key 7 ask for 0.84, not 0.81"


def test_all_pairs_count_for_raising_whoever_they_are_of() -> None:
    some = pairs(20, 0.87, "wrong", 9) + pairs(200, 0.93, source=1)
    assert propose_threshold(some, OWN).threshold == 0.88


def test_a_tenant_whose_answers_vary_raises_no_threshold_of_others() -> None:
    some = pairs(20, 0.87, "wrong", 9) + pairs(200, 0.93, source=1) + pairs(200, 0.93, source=2)
    found = propose_threshold(some, SHARED)
    assert found.threshold is None
    assert found.reason == "only the pairs of one tenant ask for 0.88"
    both = some + pairs(20, 0.87, "wrong", 8)
    assert propose_threshold(both, SHARED).threshold == 0.88


def fresh(verdicts: dict[Verdict, int]) -> Iterator[LabelledPair]:
    for verdict, count in verdicts.items():
        yield from pairs(count, 0.83, verdict)


@pytest.mark.parametrize(
    ("verdicts", "state"),
    [
        ({"right": MIN_FRESH_PAIRS}, "held"),
        ({"right": MIN_FRESH_PAIRS - 1, "wrong": 1}, "held"),
        ({"right": MIN_FRESH_PAIRS - 1}, "waiting"),
        ({"right": MIN_FRESH_PAIRS, "wrong": 1, "unclear": 1}, "waiting"),
        ({"right": 40, "wrong": 4}, "failed"),
    ],
)
def test_a_lower_threshold_must_hold_on_new_pairs(verdicts: dict[Verdict, int], state: str) -> None:
    assert judge_fresh_pairs(list(fresh(verdicts)), 0.8, OWN).state == state


def test_new_pairs_that_are_served_anyway_say_nothing_of_a_lower_threshold() -> None:
    above = pairs(10 * MIN_FRESH_PAIRS, 0.9)
    assert judge_fresh_pairs(above, 0.8, OWN).state == "waiting"
    below = pairs(MIN_FRESH_PAIRS_BELOW, 0.83)
    assert judge_fresh_pairs(above + below, 0.8, OWN).state == "held"


def test_a_higher_threshold_needs_new_pairs_above_it_only() -> None:
    above = pairs(MIN_FRESH_PAIRS, 0.93)
    assert judge_fresh_pairs(pairs(MIN_FRESH_PAIRS, 0.86, "wrong"), 0.88, OWN).state == "waiting"
    assert judge_fresh_pairs(above + pairs(30, 0.93, "unclear"), 0.88, OWN).state == "held"
    assert judge_fresh_pairs(above + pairs(9, 0.93, "wrong"), 0.88, OWN).state == "waiting"
