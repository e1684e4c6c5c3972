"""The measured saving: exact where it can be, and an interval that holds the truth about as often as it says."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from proxy.core.holdout import REPLICATES
from stats.holdout import ENOUGH, GROUPS, Measurement, Sums, measure, student

Numbers = NDArray[Any]
Requests = tuple[Numbers, Numbers, Numbers]  # costs, whether they were paid, which chat
Make = Callable[[int, float, np.random.Generator], Requests]
PAID = 0.7  # of what it would have cost, by and large


def sums(costs: Numbers, paid: Numbers, chats: Numbers, *, share: float, dice: np.random.Generator) -> list[Sums]:
    """What the roll-up holds of these requests, whose chats are drawn by lot."""
    number = int(chats.max()) + 1
    held, groups = (dice.random(number) < share)[chats], dice.integers(0, GROUPS, number)[chats]
    found = []
    for side, spent in ((True, costs), (False, costs * paid)):
        of = held == side
        counts, cost, would = (np.bincount(groups[of], weights[of], GROUPS) for weights in (np.ones(len(costs)), spent, costs))
        found += [
            Sums(share=share, held=side, replicate=group, requests=n, priced=n, cost=float(cost[group]), would=float(would[group]))
            for group, n in enumerate(map(int, counts))
            if n
        ]
    return found


def singles(number: int, spread: float, dice: np.random.Generator) -> Requests:
    """Independent requests: log-normal costs, some of them hits."""
    return dice.lognormal(0, spread, number), (dice.random(number) < PAID) * 1.0, np.arange(number)


def chats(number: int, spread: float, dice: np.random.Generator) -> Requests:
    """Chats of up to 20 turns, each dearer than the one before; some chats are much dearer, and some hit far more often."""
    lengths = dice.integers(1, 21, number // 8)
    of = np.repeat(np.arange(len(lengths)), lengths)[:number]
    turn = np.concatenate([np.arange(1, length + 1) for length in lengths])[:number]
    costs = dice.lognormal(0, spread, len(lengths))[of] * turn * dice.lognormal(0, 0.3, len(of))
    return costs, (dice.random(len(of)) < dice.beta(7, 3, len(lengths))[of]) * 1.0, of


@pytest.mark.parametrize(
    ("make", "number", "share", "spread"),
    [
        (singles, 5_000, 0.02, 0.5),
        (singles, 20_000, 0.02, 1.5),
        (singles, 3_000, 0.2, 1.5),
        (chats, 20_000, 0.1, 1.0),
        (chats, 40_000, 0.02, 0.7),
        (chats, 20_000, 0.1, 1.5),
    ],
)
def test_about_95_of_100_intervals_hold_the_truth(make: Make, number: int, share: float, spread: float) -> None:
    dice = np.random.default_rng(11)
    costs, paid, of = make(number, spread, dice)
    found = [measure(sums(costs, paid, of, share=share, dice=dice)) for _ in range(400)]
    ranges = [each.share for each in found if each.share is not None]
    truth = 1 - float((costs * paid).sum() / costs.sum())
    assert len(ranges) > 300
    assert 0.90 <= sum(truth in each for each in ranges) / len(ranges) <= 0.99


def test_requests_alone_would_promise_too_much() -> None:
    """Chats taken for independent requests: the same interval over them holds the truth far less often. The simulation can tell."""
    dice = np.random.default_rng(12)
    costs, paid, of = chats(20_000, 1.0, dice)
    truth, hits, number = 1 - float((costs * paid).sum() / costs.sum()), 0, 300
    for _ in range(number):
        held = (dice.random(int(of.max()) + 1) < 0.1)[of]
        alone = dice.integers(0, GROUPS, len(of))
        rows = [
            Sums(share=0.1, held=side, replicate=group, requests=n, priced=n, cost=c, would=c)
            for side, spent in ((True, costs), (False, costs * paid))
            for group, n, c in zip(
                range(GROUPS), np.bincount(alone[held == side]), np.bincount(alone[held == side], spent[held == side]), strict=True
            )
        ]
        share = measure(rows).share
        assert share is not None
        hits += truth in share
    assert hits / number < 0.8


def even(*, held: float = 10.0, treated: float = 7.0, share: float = 0.1, each: int = 50, **fields: float) -> list[Sums]:
    """All groups alike."""
    return [
        Sums(
            share=share,
            held=side,
            replicate=group,
            requests=each,
            priced=each,
            cost=each * cost,
            would=each * fields.get("would", held),
        )
        for group in range(GROUPS)
        for side, cost in ((True, held), (False, treated))
    ]


def test_alike_groups_leave_no_doubt() -> None:
    found = measure(even())
    assert found.share is not None
    assert found.dollars is not None
    assert (found.share.value, found.share.low, found.share.high) == pytest.approx((0.3, 0.3, 0.3))
    assert found.dollars.value == pytest.approx(3.0 * 50 * GROUPS)
    assert (found.held, found.treated, found.needed) == (3_200, 3_200, 0)
    assert found.modelled_share == pytest.approx(0.3)
    assert found.modelled_dollars == pytest.approx(3.0 * 50 * GROUPS)


def test_a_model_outside_the_interval_disagrees() -> None:
    assert measure(even(would=20.0)).disagrees
    rows = even(would=10.0)
    rows[0] = Sums(share=0.1, held=True, replicate=0, requests=50, priced=50, cost=600.0, would=600.0)
    assert not measure(rows).disagrees


def test_plans_with_other_shares_and_prices_do_not_mix() -> None:
    """A dear plan that holds out half and a cheap one that holds out a hundredth: neither saves, and together they save nothing."""
    dear = even(held=100.0, treated=100.0, share=0.5)
    cheap = [
        Sums(share=0.01, held=side, replicate=group, requests=n, priced=n, cost=float(n), would=float(n))
        for group in range(GROUPS)
        for side, n in ((True, 2), (False, 198))
    ]
    found = measure([*dear, *cheap])
    assert found.share is not None
    assert found.share.value == pytest.approx(0.0, abs=1e-9)


def test_what_samples_cost_is_the_plan_s() -> None:
    rows = even()
    rows += [Sums(share=0.1, held=False, replicate=group, requests=0, priced=0, cost=50.0, would=0.0) for group in range(GROUPS)]
    found = measure(rows)
    assert found.share is not None
    assert found.share.value == pytest.approx(0.2)
    assert found.modelled_share == pytest.approx(0.2)


def test_too_little_data_says_how_much_is_missing() -> None:
    nothing = measure([])
    assert (nothing.share, nothing.needed, nothing.held) == (None, 39, 0)
    few = [Sums(share=0.02, held=True, replicate=group, requests=1, priced=1, cost=1.0, would=1.0) for group in range(10)]
    few += [Sums(share=0.02, held=False, replicate=group, requests=49, priced=49, cost=49.0, would=49.0) for group in range(10)]
    found = measure(few)
    assert (found.share, found.held) == (None, 10)
    assert 20 <= found.needed <= 40
    assert found.needed_requests == pytest.approx(found.needed / 0.02, rel=0.01)


@pytest.mark.parametrize("share", [0.02, 0.2])
def test_the_missing_number_is_about_what_it_takes(share: float) -> None:
    """24 groups that matter of 64 are 50 chats of 1 to 20 turns: 525 requests."""
    dice = np.random.default_rng(13)
    told = []
    for _ in range(40):
        costs, paid, of = chats(round(250 / share), 1.0, dice)
        found = measure(sums(costs, paid, of, share=share, dice=dice))
        assert found.share is None
        told.append(found.held + found.needed)
    assert 400 < np.median(told) < 700


def test_what_costs_nothing_has_no_share() -> None:
    found = measure(even(held=0.0, treated=0.0))
    assert (found.share, found.needed) == (None, 0)


def test_unpriced_requests_are_told_and_in_no_sum() -> None:
    rows = [*even(), Sums(share=0.1, held=True, replicate=0, requests=7, priced=0, cost=0.0, would=0.0)]
    found = measure(rows)
    assert (found.unpriced, found.held) == (7, 3_200)
    assert found.share is not None
    assert found.share.value == pytest.approx(0.3)


def test_one_side_alone_compares_nothing() -> None:
    for side in (True, False):
        found: Measurement = measure([row for row in even() if row.held is side])
        assert found.share is None
        assert found.needed > 0


def test_both_sides_of_the_house_have_as_many_groups() -> None:
    assert REPLICATES == GROUPS
    assert 1 < ENOUGH < GROUPS


@pytest.mark.parametrize(("freedom", "quantile"), [(3, 3.1824), (5, 2.5706), (10, 2.2281), (23, 2.0687), (63, 1.9983)])
def test_student_s_quantile(freedom: float, quantile: float) -> None:
    """The table of Abramowitz and Stegun, 26.10."""
    assert student(freedom) == pytest.approx(quantile, rel=0.01)
