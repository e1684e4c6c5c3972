"""The measured saving: exact where it can be, and an interval
that holds the truth about as often as it says."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from proxy.core.quality.holdout_assignment import REPLICATE_COUNT
from stats.analysis.holdout_estimate import (
    GROUP_COUNT,
    MIN_EFFECTIVE_GROUPS,
    GroupSums,
    HoldoutMeasurement,
    measure_savings,
    student_quantile,
)

Numbers = NDArray[Any]
# Sizes, costs, whether they were paid, which chat.
Requests = tuple[Numbers, Numbers, Numbers, Numbers]
Make = Callable[[int, float, np.random.Generator, float], Requests]
PAID = 0.7  # of what it would have cost, by and large


def sums(
    asked: Requests, *, share: float, dice: np.random.Generator, sized: bool = True
) -> list[GroupSums]:
    """What the roll-up holds of these requests, whose chats are drawn by lot."""
    sizes, costs, paid, chats = asked
    number = int(chats.max()) + 1
    held, groups = (
        (dice.random(number) < share)[chats],
        dice.integers(0, GROUP_COUNT, number)[chats],
    )
    found = []
    for side, spent in ((True, costs), (False, costs * paid)):
        of = held == side
        counts, cost, would, size = (
            np.bincount(groups[of], weights[of], GROUP_COUNT)
            for weights in (np.ones(len(costs)), spent, costs, sizes)
        )
        found += [
            GroupSums(
                share=share,
                held=side,
                replicate=group,
                requests=n,
                priced=n,
                cost=float(cost[group]),
                would=float(would[group]),
                size=float(size[group]) if sized else 0.0,
            )
            for group, n in enumerate(map(int, counts))
            if n
        ]
    return found


def singles(
    number: int, spread: float, dice: np.random.Generator, answers: float = 0.3
) -> Requests:
    """Independent requests of log-normal size, some of them hits.

    `answers`: what completions cost beside prompts.
    """
    sizes = dice.lognormal(0, spread, number)
    return (
        sizes,
        _costs(sizes, answers, dice),
        (dice.random(number) < PAID) * 1.0,
        np.arange(number),
    )


def chats(number: int, spread: float, dice: np.random.Generator, answers: float = 0.3) -> Requests:
    """Chats of up to 20 turns, each larger than the one before;
    some chats are much larger, and some hit far more often."""
    lengths = dice.integers(1, 21, number // 8)
    of = np.repeat(np.arange(len(lengths)), lengths)[:number]
    turn = np.concatenate([np.arange(1, length + 1) for length in lengths])[:number]
    sizes = dice.lognormal(0, spread, len(lengths))[of] * turn
    paid = (dice.random(len(of)) < dice.beta(7, 3, len(lengths))[of]) * 1.0
    return sizes, _costs(sizes, answers, dice), paid, of


def _costs(sizes: Numbers, answers: float, dice: np.random.Generator) -> Numbers:
    """A prompt costs about what it is long, less where the provider held it;
    an answer whatever it is long."""
    prompts = (
        sizes
        * dice.lognormal(0, 0.3, len(sizes))
        * np.where(dice.random(len(sizes)) < 0.5, 0.5, 1.0)
    )
    replies = dice.lognormal(0, 1, len(sizes))
    return np.asarray(prompts + replies * answers * prompts.mean() / replies.mean())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "number", "share", "spread", "answers"),
    [
        (singles, 5_000, 0.02, 0.5, 5.0),
        (singles, 20_000, 0.02, 1.5, 0.3),
        (singles, 3_000, 0.2, 1.5, 0.3),
        (chats, 20_000, 0.1, 1.0, 0.3),
        (chats, 40_000, 0.02, 0.7, 5.0),
        (chats, 20_000, 0.1, 1.5, 0.3),
    ],
)
def test_about_95_of_100_intervals_hold_the_truth(
    make: Make, number: int, share: float, spread: float, answers: float
) -> None:
    dice = np.random.default_rng(11)
    asked = make(number, spread, dice, answers)
    _, costs, paid, _ = asked
    truth = 1 - float((costs * paid).sum() / costs.sum())
    for sized in (True, False):
        found = [
            measure_savings(sums(asked, share=share, dice=dice, sized=sized)) for _ in range(250)
        ]
        ranges = [each.share for each in found if each.share is not None]
        assert len(ranges) > 200
        assert 0.89 <= sum(truth in each for each in ranges) / len(ranges) <= 1.0


def test_sizes_known_beforehand_make_the_interval_narrow() -> None:
    dice = np.random.default_rng(14)
    asked = chats(20_000, 1.0, dice)
    wide, narrow = (
        [
            each.high - each.low
            for _ in range(40)
            if (each := measure_savings(sums(asked, share=0.1, dice=dice, sized=sized)).share)
        ]
        for sized in (False, True)
    )
    assert 2.5 * np.median(narrow) < np.median(wide)


def test_requests_alone_would_promise_too_much() -> None:
    """Chats taken for independent requests: the same interval
    over them holds the truth far less often. The simulation can tell."""
    dice = np.random.default_rng(12)
    _, costs, paid, of = chats(20_000, 1.0, dice)
    truth, hits, number = 1 - float((costs * paid).sum() / costs.sum()), 0, 200
    for _ in range(number):
        held = (dice.random(int(of.max()) + 1) < 0.1)[of]
        alone = dice.integers(0, GROUP_COUNT, len(of))
        rows = [
            GroupSums(share=0.1, held=side, replicate=group, requests=n, priced=n, cost=c, would=c)
            for side, spent in ((True, costs), (False, costs * paid))
            for group, n, c in zip(
                range(GROUP_COUNT),
                np.bincount(alone[held == side]),
                np.bincount(alone[held == side], spent[held == side]),
                strict=True,
            )
        ]
        share = measure_savings(rows).share
        assert share is not None
        hits += truth in share
    assert hits / number < 0.8


def even(
    *, held: float = 10.0, treated: float = 7.0, share: float = 0.1, each: int = 50, **fields: float
) -> list[GroupSums]:
    """All groups alike."""
    return [
        GroupSums(
            share=share,
            held=side,
            replicate=group,
            requests=each,
            priced=each,
            cost=each * cost,
            would=each * fields.get("would", held),
        )
        for group in range(GROUP_COUNT)
        for side, cost in ((True, held), (False, treated))
    ]


def test_alike_groups_leave_no_doubt() -> None:
    found = measure_savings(even())
    assert found.share is not None
    assert found.dollars is not None
    assert (found.share.value, found.share.low, found.share.high) == pytest.approx((0.3, 0.3, 0.3))
    assert found.dollars.value == pytest.approx(3.0 * 50 * GROUP_COUNT)
    assert (found.held, found.treated, found.needed) == (3_200, 3_200, 0)
    assert found.modelled_share == pytest.approx(0.3)
    assert found.modelled_dollars == pytest.approx(3.0 * 50 * GROUP_COUNT)


def test_a_model_outside_the_interval_disagrees() -> None:
    assert measure_savings(even(would=20.0)).is_model_ruled_out
    rows = even(would=10.0)
    rows[0] = GroupSums(
        share=0.1, held=True, replicate=0, requests=50, priced=50, cost=600.0, would=600.0
    )
    assert not measure_savings(rows).is_model_ruled_out


def test_plans_with_other_shares_and_prices_do_not_mix() -> None:
    """A dear plan that holds out half and a cheap one that holds out a hundredth:
    neither saves, and together they save nothing."""
    dear = even(held=100.0, treated=100.0, share=0.5)
    cheap = [
        GroupSums(
            share=0.01,
            held=side,
            replicate=group,
            requests=n,
            priced=n,
            cost=float(n),
            would=float(n),
        )
        for group in range(GROUP_COUNT)
        for side, n in ((True, 2), (False, 198))
    ]
    found = measure_savings([*dear, *cheap])
    assert found.share is not None
    assert found.share.value == pytest.approx(0.0, abs=1e-9)


def test_what_samples_cost_is_the_plan_s() -> None:
    rows = even()
    rows += [
        GroupSums(
            share=0.1, held=False, replicate=group, requests=0, priced=0, cost=50.0, would=0.0
        )
        for group in range(GROUP_COUNT)
    ]
    found = measure_savings(rows)
    assert found.share is not None
    assert found.share.value == pytest.approx(0.2)
    assert found.modelled_share == pytest.approx(0.2)


def test_too_little_data_says_how_much_is_missing() -> None:
    nothing = measure_savings([])
    assert (nothing.share, nothing.needed, nothing.held) == (None, 39, 0)
    few = [
        GroupSums(share=0.02, held=True, replicate=group, requests=1, priced=1, cost=1.0, would=1.0)
        for group in range(10)
    ]
    few += [
        GroupSums(
            share=0.02, held=False, replicate=group, requests=49, priced=49, cost=49.0, would=49.0
        )
        for group in range(10)
    ]
    found = measure_savings(few)
    assert (found.share, found.held) == (None, 10)
    assert 20 <= found.needed <= 40
    assert found.needed_requests == pytest.approx(found.needed / 0.02, rel=0.01)


@pytest.mark.parametrize("share", [0.02, 0.2])
def test_the_missing_number_is_about_what_it_takes(share: float) -> None:
    """24 groups that matter of 64 are 50 chats of 1 to 20 turns: 525 requests."""
    dice = np.random.default_rng(13)
    told = []
    for _ in range(40):
        found = measure_savings(sums(chats(round(250 / share), 1.0, dice), share=share, dice=dice))
        assert found.share is None
        told.append(found.held + found.needed)
    assert 400 < np.median(told) < 700


def test_what_costs_nothing_has_no_share() -> None:
    found = measure_savings(even(held=0.0, treated=0.0))
    assert (found.share, found.needed) == (None, 0)


def test_unpriced_requests_are_told_and_in_no_sum() -> None:
    rows = [
        *even(),
        GroupSums(share=0.1, held=True, replicate=0, requests=7, priced=0, cost=0.0, would=0.0),
    ]
    found = measure_savings(rows)
    assert (found.unpriced, found.held) == (7, 3_200)
    assert found.share is not None
    assert found.share.value == pytest.approx(0.3)


def test_one_side_alone_compares_nothing() -> None:
    for side in (True, False):
        found: HoldoutMeasurement = measure_savings([row for row in even() if row.held is side])
        assert found.share is None
        assert found.needed > 0


def test_both_sides_of_the_house_have_as_many_groups() -> None:
    assert REPLICATE_COUNT == GROUP_COUNT
    assert 1 < MIN_EFFECTIVE_GROUPS < GROUP_COUNT


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(3, 3.1824), (5, 2.5706), (10, 2.2281), (23, 2.0687), (63, 1.9983)]
)
def test_student_s_quantile(freedom: float, quantile: float) -> None:
    """The table of Abramowitz and Stegun, 26.10."""
    assert student_quantile(freedom) == pytest.approx(quantile, rel=0.01)


def test_a_single_chat_that_cost_anything_is_nothing_to_go_by() -> None:
    rows = [
        replace(row, cost=0.0, size=0.0) if row.held and row.replicate else row for row in even()
    ]
    assert measure_savings(rows).share is None


def test_a_side_that_drew_the_larger_requests_is_brought_to_the_size_of_the_other() -> None:
    """Requests cost ten dollars for each of their size, and nothing is saved;
    those held out happen to be larger."""
    dice = np.random.default_rng(15)
    rows = []
    for group in range(GROUP_COUNT):
        for side, larger in ((True, 1.2), (False, 1.0)):
            size = 50 * float(dice.lognormal(0, 0.5)) * larger
            rows.append(
                GroupSums(
                    share=0.1,
                    held=side,
                    replicate=group,
                    requests=50,
                    priced=50,
                    cost=10 * size,
                    would=10 * size,
                    size=size,
                )
            )
    found = measure_savings(rows).share
    assert found is not None
    assert found.value == pytest.approx(0.0, abs=1e-9)
