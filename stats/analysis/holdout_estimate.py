"""Measure what a plan saves: mean cost of a request with the plan against one held out. Pure.

The two arms are assigned at random, conversation by conversation
(`proxy.core.quality.holdout_assignment`). If the held-out share changed, or plans with several
shares are combined, a plain mean would compare different traffic; so a request held out of a share
p is weighted with (1 - p) / p. The ratio of the means is then about the requests that had the plan.

Too little data is decided by the number of requests alone, never by the width of the interval:
waiting until it is narrow would show it when it happens to be too narrow.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[Any]

GROUP_COUNT: Final = (
    64  # `proxy.core.quality.holdout_assignment.REPLICATE_COUNT`; a test compares them
)
MIN_EFFECTIVE_GROUPS: Final = 24.0  # by the number of requests held out
NORMAL_QUANTILE_95: Final = 1.96  # the quantile of a two-sided interval of 95 %


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSums:
    """Sums of one replicate group in one arm, under one share.

    Of the `priced` ones among `requests`, in US dollars: `cost` billed and spent on saving, `would`
    the modelled cost without the plan, and `size` as in
    `proxy.core.quality.holdout_assignment.HoldoutAssignment`.
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
    """A figure with its 95 % confidence interval."""

    value: float
    low: float
    high: float

    def __contains__(self, other: float) -> bool:
        return self.low <= other <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldoutMeasurement:
    """The measured savings of a plan.

    `held`, `treated`: priced requests without and with the plan; `unpriced`: others, in no sum.
    `share`: saved, of what the requests with the plan would have cost; `dollars`: the same in US
    dollars; None while `needed` more requests must be held out, about `needed_requests` in all, or
    if those held out cost next to nothing. `modelled_share` and `modelled_dollars`: of the same
    requests by the model, None if it has nothing to say.
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
        """Whether the modelled share lies outside the measured interval."""
        return (
            self.share is not None
            and self.modelled_share is not None
            and self.modelled_share not in self.share
        )


def measure_savings(sums: Iterable[GroupSums]) -> HoldoutMeasurement:
    """Compute the measurement from the sums of all groups."""
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
    """Count the further requests to be held out, given their spread over the groups so far."""
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
    """Compute the share and the dollars saved; None if those held out cost next to nothing."""
    treated, held = _sum_by_group(with_plan), _sum_by_group(without)
    costs = held[1]
    if costs.sum() <= 0:
        return None, None
    # A few expensive conversations leave fewer effective groups than 64, so the quantile is
    # Student's with one degree of freedom less than there are effective groups (L. Kish's measure,
    # of the costs held out). Simulated, see `tests/stats/analysis/test_holdout_estimate.py`.
    quantile = student_quantile(costs.sum() ** 2 / (costs**2).sum() - 1)
    all_but = 1 - np.eye(GROUP_COUNT)
    (mean,), (other,) = _compute_adjusted_means(treated, held, np.ones((1, GROUP_COUNT)))
    means, others = _compute_adjusted_means(treated, held, all_but)
    if (others <= 0).any():  # only one group cost anything
        return None, None
    requests = float(treated[0].sum())
    share = _jackknife_interval(1 - mean / other, 1 - means / others, quantile)
    dollars = _jackknife_interval(requests * (other - mean), requests * (others - means), quantile)
    return IntervalEstimate(value=share.value, low=share.low, high=min(1.0, share.high)), dollars


def _compute_adjusted_means(
    treated: FloatArray, held: FloatArray, use: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Compute the mean cost of a request with the plan, and without it at the same mean size.

    One of each per row of `use`, which says of each group whether it is counted.
    """
    # Chance makes the arms unequal, and a few long conversations can hide all of the saving. A
    # request's size was known before its assignment, so an imbalance can be removed: the mean of
    # the held-out arm is read off the line of cost over size at the other arm's size (regression
    # adjustment of an experiment: W. Lin, Agnostic notes on regression adjustments to experimental
    # data, Annals of Applied Statistics 7, 2013). This relies on no price or token count of ours:
    # an uninformative size would change nothing.
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
    """Sum weighted requests, cost and size (three rows) per group."""
    found = np.zeros((3, GROUP_COUNT))
    for row in side:
        weight = (1 - row.share) / row.share if row.held else 1.0
        found[:, row.replicate] += weight * np.array((row.priced, row.cost, row.size))
    return found


def _jackknife_interval(value: float, left_out: FloatArray, quantile: float) -> IntervalEstimate:
    """Compute the interval of a figure from its values with each group left out."""
    # The interval must account for requests of a conversation costing alike. Conversations are
    # hashed into 64 replicate groups, so each group is a small sample of all conversations, and how
    # much the result changes when one is left out shows how certain it is: the delete-a-group
    # jackknife (P. S. Kott, The delete-a-group jackknife, Journal of Official Statistics 17, 2001;
    # Wolter, Introduction to Variance Estimation, 2007, chapter 4).
    half = quantile * math.sqrt(
        (GROUP_COUNT - 1) / GROUP_COUNT * float(((left_out - left_out.mean()) ** 2).sum())
    )
    return IntervalEstimate(value=float(value), low=float(value) - half, high=float(value) + half)


def student_quantile(freedom: float, z: float = NORMAL_QUANTILE_95) -> float:
    """Compute the quantile of Student's distribution at which the normal one is `z`."""
    # The expansion of Cornish and Fisher (Abramowitz and Stegun 26.7.5): 3 % too small at 2 degrees
    # of freedom, less than 0.2 % from 5 on.
    v = max(freedom, 2.0)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + sum(term / v ** (power + 1) for power, term in enumerate(terms))
