"""What a plan saves, measured: the mean cost of a request with the plan against that of one held out without it. Pure.

*The two sides* are drawn by lot, chat by chat (`proxy.core.holdout`). Where the share held out changed, or plans with several shares are
looked at together, a plain mean would compare different traffic; so a request held out of a share p stands for (1 - p) / p of those with
the plan. The quotient of the means is then about the requests that had the plan.

*The interval* must know that requests of a chat cost alike. Chats fall into 64 replicate groups by hash, so each group is a small sample of
all chats, and how much the result moves when one is left out tells how sure it is: the delete-a-group jackknife (P. S. Kott, The
delete-a-group jackknife, Journal of Official Statistics 17, 2001; Wolter, Introduction to Variance Estimation, 2007, chapter 4). A few dear
chats leave fewer groups that matter than 64, so the quantile is Student's with as many degrees of freedom as there are effective groups
(L. Kish's measure, of the costs held out), less one. Simulated, see `tests/core/test_holdout_interval.py`.

*Too little data* is told by the number of requests alone, never by how wide the interval is: to wait until it is narrow would show it when
it happens to be too narrow.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

GROUPS: Final = 64  # `proxy.core.holdout.REPLICATES`; a test compares them
ENOUGH: Final = 24.0  # effective groups, by the number of requests held out
Z: Final = 1.96  # the quantile of a two-sided interval of 95 %


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Of one replicate group on one side, under one share. `cost`: billed and spent on saving, `would`: by the model, in US dollars, of the
    `priced` ones of the requests."""

    share: float
    held: bool
    replicate: int
    requests: int
    priced: int
    cost: float
    would: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A figure with its interval of 95 %."""

    value: float
    low: float
    high: float

    def __contains__(self, other: float) -> bool:
        return self.low <= other <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """`held`, `treated`: priced requests without and with the plan; `unpriced`: others, in no sum. `share`: saved of what the requests with
    the plan would have cost, `dollars`: the same in US dollars; None while `needed` requests more must be held out, some
    `needed_requests` in all, or when those held out cost nothing. `modelled_share` and `modelled_dollars`: of the very same requests, None
    where the model has nothing to say."""

    held: int = 0
    treated: int = 0
    unpriced: int = 0
    share: Range | None = None
    dollars: Range | None = None
    needed: int = 0
    needed_requests: int = 0
    modelled_share: float | None = None
    modelled_dollars: float | None = None

    @property
    def disagrees(self) -> bool:
        """Whether the model says what the measurement rules out."""
        return self.share is not None and self.modelled_share is not None and self.modelled_share not in self.share


def measure(sums: Iterable[Sums]) -> Measurement:
    """The measurement that the sums make together."""
    rows = list(sums)
    with_plan, without = ([row for row in rows if row.held is held] for held in (False, True))
    held, treated = (sum(row.priced for row in side) for side in (without, with_plan))
    cost, would = (sum(getattr(row, name) for row in with_plan) for name in ("cost", "would"))
    needed = _needed(without, held) if treated else _needed(without, 0)
    drawn = sum(row.requests for row in rows)
    mean_share = sum(row.share * row.requests for row in rows) / drawn if drawn else 0.0
    share, dollars = (None, None) if needed else _compared(with_plan, without)
    return Measurement(
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


def _needed(without: list[Sums], held: int) -> int:
    """How many requests more must be held out, at the spread over the groups that they had so far."""
    groups = [sum(row.priced for row in without if row.replicate == group) for group in range(GROUPS)]
    spread = GROUPS * sum(number**2 for number in groups) / held**2 - 1 if held else GROUPS
    most = GROUPS / ENOUGH - 1
    return math.ceil(max(held, 1) * spread / most) - held if spread > most else 0


def _compared(with_plan: list[Sums], without: list[Sums]) -> tuple[Range | None, Range | None]:
    """Share and dollars saved. None where those held out cost nothing."""
    treated, held = _by_group(with_plan), _by_group(without)
    requests, cost = map(sum, zip(*treated, strict=True))
    others, their_cost = map(sum, zip(*held, strict=True))
    if their_cost <= 0:
        return None, None
    quantile = student(their_cost**2 / sum(spent**2 for _, spent in held) - 1)
    left = [
        ((cost - c) / (requests - n), (their_cost - d) / (others - m))
        for (n, c), (m, d) in zip(treated, held, strict=True)
        if requests > n and others > m and their_cost > d
    ]
    mean, other = cost / requests, their_cost / others
    share = _range(1 - mean / other, [1 - one / two for one, two in left], quantile)
    dollars = _range(requests * (other - mean), [requests * (two - one) for one, two in left], quantile)
    return Range(value=share.value, low=share.low, high=min(1.0, share.high)), dollars


def _by_group(side: list[Sums]) -> list[tuple[float, float]]:
    """Requests and cost of each group, as many as they stand for."""
    found = [(0.0, 0.0)] * GROUPS
    for row in side:
        weight = (1 - row.share) / row.share if row.held else 1.0
        requests, cost = found[row.replicate]
        found[row.replicate] = (requests + weight * row.priced, cost + weight * row.cost)
    return found


def _range(value: float, left_out: list[float], quantile: float) -> Range:
    """The figure, and its interval by what it is when each group is left out."""
    number, mean = len(left_out), sum(left_out) / len(left_out)
    half = quantile * math.sqrt((number - 1) / number * sum((each - mean) ** 2 for each in left_out))
    return Range(value=value, low=value - half, high=value + half)


def student(freedom: float, z: float = Z) -> float:
    """The quantile of Student's distribution where the normal one has `z`, by the expansion of Cornish and Fisher (Abramowitz and Stegun
    26.7.5): 3 % too small at 2 degrees of freedom, less than 0.2 % from 5 on."""
    v = max(freedom, 2.0)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + sum(term / v ** (power + 1) for power, term in enumerate(terms))
