"""What a plan saves, measured: the mean cost of a request with the plan against
that of one held out without it. Pure.

*The two sides* are drawn by lot, chat by chat (`proxy.core.quality.holdout`). Where the share held
out changed, or plans with several shares are looked at together, a plain mean would compare
different traffic; so a request held out of a share p stands for (1 - p) / p of those with the plan.
The quotient of the means is then about the requests that had the plan.

*Chance makes the sides unequal*, and a few long chats can hide all of the saving. How large a
request is was known before its lot was drawn, so what its side has too much of it can be taken out:
the mean of those held out is read off the line of cost over size at the size of those with the plan
(regression adjustment of an experiment: W. Lin, Agnostic notes on regression adjustments to
experimental data, Annals of Applied Statistics 7, 2013). No price or token count of ours is
believed for that: a size that said nothing would change nothing.

*The interval* must know that requests of a chat cost alike. Chats fall into 64 replicate groups by
hash, so each group is a small sample of all chats, and how much the result moves when one is left
out tells how sure it is: the delete-a-group jackknife (P. S. Kott, The delete-a-group jackknife,
Journal of Official Statistics 17, 2001; Wolter, Introduction to Variance Estimation, 2007, chapter
4). A few dear chats leave fewer groups that matter than 64, so the quantile is Student's with as
many degrees of freedom as there are effective groups (L. Kish's measure, of the costs held out),
less one. Simulated, see `tests/stats/analysis/test_holdout.py`.

*Too little data* is told by the number of requests alone, never by how wide the interval is: to
wait until it is narrow would show it when it happens to be too narrow.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[Any]

GROUP_COUNT: Final = 64  # `proxy.core.quality.holdout.REPLICATE_COUNT`; a test compares them
MIN_EFFECTIVE_GROUPS: Final = 24.0  # effective groups, by the number of requests held out
NORMAL_QUANTILE_95: Final = 1.96  # the quantile of a two-sided interval of 95 %


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSums:
    """Of one replicate group on one side, under one share.

    `cost`: billed and spent on saving, `would`: by the model, in US dollars, of the `priced` ones
    of the requests, and `size` of them, as `proxy.core.quality.holdout.HoldoutAssignment` has it.
    """

    share: float
    held: bool
    replicate: int
    requests: int
    priced: int
    cost: float
    would: float
    size: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalEstimate:
    """A figure with its interval of 95 %."""

    value: float
    low: float
    high: float

    def __contains__(self, other: float) -> bool:
        return self.low <= other <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldoutMeasurement:
    """`held`, `treated`: priced requests without and with the plan; `unpriced`: others, in no sum.

    `share`: saved of what the requests with the plan would have cost, `dollars`: the same in US
    dollars; None while `needed` requests more must be held out, some `needed_requests` in all, or
    when those held out cost next to nothing. `modelled_share` and `modelled_dollars`: of the very
    same requests, None where the model has nothing to say.
    """

    held: int = 0
    treated: int = 0
    unpriced: int = 0
    share: IntervalEstimate | None = None
    dollars: IntervalEstimate | None = None
    needed: int = 0
    needed_requests: int = 0
    modelled_share: float | None = None
    modelled_dollars: float | None = None

    @property
    def is_model_ruled_out(self) -> bool:
        """Whether the model says what the measurement rules out."""
        return (
            self.share is not None
            and self.modelled_share is not None
            and self.modelled_share not in self.share
        )


def measure_savings(sums: Iterable[GroupSums]) -> HoldoutMeasurement:
    """The measurement that the sums make together."""
    rows = list(sums)
    with_plan, without = ([row for row in rows if row.held is held] for held in (False, True))
    held, treated = (sum(row.priced for row in side) for side in (without, with_plan))
    cost, would = (sum(getattr(row, name) for row in with_plan) for name in ("cost", "would"))
    enough = len({row.replicate for row in with_plan if row.priced}) > 1
    needed = _count_missing_requests(without, held if enough else 0)
    drawn = sum(row.requests for row in rows)
    mean_share = sum(row.share * row.requests for row in rows) / drawn if drawn else 0.0
    share, dollars = (None, None) if needed else _compare_sides(with_plan, without)
    return HoldoutMeasurement(
        held=held,
        treated=treated,
        unpriced=drawn - held - treated,
        share=share,
        dollars=dollars,
        needed=needed,
        needed_requests=math.ceil(needed / mean_share) if mean_share else 0,
        modelled_share=1 - cost / would if would else None,
        modelled_dollars=would - cost if treated else None,
    )


def _count_missing_requests(without: list[GroupSums], held: int) -> int:
    """How many requests more must be held out, at the spread over the groups that they had
    so far."""
    groups = [
        sum(row.priced for row in without if row.replicate == group) for group in range(GROUP_COUNT)
    ]
    spread = (
        GROUP_COUNT * sum(number**2 for number in groups) / held**2 - 1 if held else GROUP_COUNT
    )
    most = GROUP_COUNT / MIN_EFFECTIVE_GROUPS - 1
    return math.ceil(max(held, 1) * spread / most) - held if spread > most else 0


def _compare_sides(
    with_plan: list[GroupSums], without: list[GroupSums]
) -> tuple[IntervalEstimate | None, IntervalEstimate | None]:
    """Share and dollars saved. None where those held out cost next to nothing."""
    treated, held = _sum_by_group(with_plan), _sum_by_group(without)
    costs = held[1]
    if costs.sum() <= 0:
        return None, None
    quantile = student_quantile(costs.sum() ** 2 / (costs**2).sum() - 1)
    all_but = 1 - np.eye(GROUP_COUNT)
    (mean,), (other,) = _compute_adjusted_means(treated, held, np.ones((1, GROUP_COUNT)))
    means, others = _compute_adjusted_means(treated, held, all_but)
    if (others <= 0).any():  # a single group cost anything
        return None, None
    requests = float(treated[0].sum())
    share = _jackknife_interval(1 - mean / other, 1 - means / others, quantile)
    dollars = _jackknife_interval(requests * (other - mean), requests * (others - means), quantile)
    return IntervalEstimate(value=share.value, low=share.low, high=min(1.0, share.high)), dollars


def _compute_adjusted_means(
    treated: FloatArray, held: FloatArray, use: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """What a request cost with the plan, and what it would have cost without:
    the mean of those held out, at the size of the others. One of each for every row of `use`, which
    says of each group whether it counts."""
    (requests, cost, size), (others, their_cost, their_size) = treated @ use.T, held @ use.T
    mean, theirs = their_cost / others, their_size / others
    dear = held[1] - mean[:, None] * held[0]
    large = (held[2] - theirs[:, None] * held[0]) * use
    spread = (large**2).sum(axis=1)
    slope = np.divide(
        (dear * large).sum(axis=1), spread, out=np.zeros_like(spread), where=spread > 0
    )
    return cost / requests, mean + slope * (size / requests - theirs)


def _sum_by_group(side: list[GroupSums]) -> FloatArray:
    """Requests, cost and size (three rows) of each group, as many as they stand for."""
    found = np.zeros((3, GROUP_COUNT))
    for row in side:
        weight = (1 - row.share) / row.share if row.held else 1.0
        found[:, row.replicate] += weight * np.array((row.priced, row.cost, row.size))
    return found


def _jackknife_interval(value: float, left_out: FloatArray, quantile: float) -> IntervalEstimate:
    """The figure, and its interval by what it is when each group is left out."""
    half = quantile * math.sqrt(
        (GROUP_COUNT - 1) / GROUP_COUNT * float(((left_out - left_out.mean()) ** 2).sum())
    )
    return IntervalEstimate(value=float(value), low=float(value) - half, high=float(value) + half)


def student_quantile(freedom: float, z: float = NORMAL_QUANTILE_95) -> float:
    """The quantile of Student's distribution where the normal one has `z`,
    by the expansion of Cornish and Fisher (Abramowitz and Stegun 26.7.5): 3 % too small at 2
    degrees of freedom, less than 0.2 % from 5 on."""
    v = max(freedom, 2.0)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + sum(term / v ** (power + 1) for power, term in enumerate(terms))
