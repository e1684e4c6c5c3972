"""What sampled hits say about a plan: how often its semantic hits are wrong,
and from which score on they may be served. Pure.

Two answers cannot always be told right or wrong (`unclear`). Those count as right in the lower
bound and as wrong in the upper one, so both bounds hold whatever they were.

The threshold is learned from all outcomes, also of neighbours below it, which are compared for
nothing when the provider answered anyway. The idea is that of vCache (Schroeder et al., arXiv
2502.03771): correctness as a function of the score, with its confidence. Here the function is the
non-increasing rate of wrong hits that fits best (isotonic regression: Ayer et al., An Empirical
Distribution Function for Sampling with Incomplete Information, Annals of Mathematical Statistics
26, 1955), over bands of scores, with Wilson bounds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from stats.analysis import confidence

Verdict = Literal["right", "wrong", "unclear"]

MIN_WINDOW_SAMPLES = 2_000  # the window, where the budget can be vouched for by so many
MAX_WINDOW_SAMPLES = 40_000
WINDOW_DAYS = 30
BAND_WIDTH = 0.02
# The bound is looked at after every sample, so that by chance it is over the budget sooner or
# later. With fewer wrong ones than this the tier stays on: then 1.5 in 100 plans that keep to half
# of their budget are turned off within 2,000 samples (simulated).
MIN_WRONG_TO_TURN_OFF = 4
# The threshold moves on no less: down through bands of so many outcomes each, up where so many are
# left above.
MIN_OUTCOMES_TO_MOVE = 50


@dataclass(frozen=True, slots=True)
class Sample:
    """One stored answer compared with the provider's.

    `at` in epoch seconds; `score` as the plan's threshold counts it.
    """

    at: float
    score: float
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRateEstimate:
    """How often hits at or above `threshold` were wrong, with bounds;
    `needed`: samples until the budget can be vouched for if all are right; `over`: it is broken for
    certain."""

    threshold: float
    samples: int = 0
    wrong: int = 0
    unclear: int = 0
    lower: float = 0.0
    upper: float = 1.0
    needed: int = 0
    is_over_budget: bool = False

    @property
    def rate(self) -> float | None:
        """Wrong ones of those that could be told; None without any."""
        told = self.samples - self.unclear
        return self.wrong / told if told else None

    @property
    def is_within_budget(self) -> bool:
        return self.needed == 0


def compute_window_size(limit: float) -> int:
    """How many samples are looked at: enough to vouch for a budget of `limit`
    with some wrong ones among them."""
    return min(MAX_WINDOW_SAMPLES, max(MIN_WINDOW_SAMPLES, round(10 / limit)))


def estimate_error_rate(
    samples: Iterable[Sample], *, limit: float, threshold: float
) -> ErrorRateEstimate:
    """The rate of wrong hits against the budget `limit`,
    by the samples that are hits under `threshold`."""
    verdicts = [sample.verdict for sample in samples if sample.score >= threshold]
    return compute_error_rate(
        len(verdicts),
        verdicts.count("wrong"),
        verdicts.count("unclear"),
        limit=limit,
        threshold=threshold,
    )


def compute_error_rate(
    samples: int, wrong: int, unclear: int, *, limit: float, threshold: float
) -> ErrorRateEstimate:
    """The rate of `wrong` and `unclear` ones of so many samples, with its bounds."""
    lower = confidence.wilson_interval(wrong, samples)[0]
    return ErrorRateEstimate(
        threshold=threshold,
        samples=samples,
        wrong=wrong,
        unclear=unclear,
        lower=lower,
        upper=confidence.wilson_interval(wrong + unclear, samples)[1],
        needed=confidence.count_trials_needed(wrong + unclear, samples, limit),
        is_over_budget=lower > limit and wrong >= MIN_WRONG_TO_TURN_OFF,
    )


@dataclass(slots=True)
class _PooledBands:
    """Bands of scores from `low` to `high` whose rates are one. `doubtful`: wrong and unclear."""

    low: float
    high: float
    trials: int
    wrong: int
    doubtful: int


def learn_threshold(samples: Iterable[Sample], *, limit: float, threshold: float) -> float:
    """The threshold that the evidence supports; the plan's own where it says nothing.

    Higher: above every block of bands whose wrong hits exceed the budget for certain (lower bound
    over `limit`, as for turning off), if there is evidence above it; else no threshold helps.
    Lower: down from the plan's own through blocks that touch, each with enough outcomes and no more
    doubtful ones than `limit`, as long as the upper bound of all from there up is within `limit`.
    Scores above it that nobody had are no gap: they are served anyway.
    """
    blocks = _pool_adjacent_violators(_group_by_band(samples))
    refuted = max((block.high for block in blocks if _exceeds_budget(block, limit)), default=0.0)
    if refuted > threshold:
        above = sum(block.trials for block in blocks if block.low >= refuted)
        return refuted if above >= MIN_OUTCOMES_TO_MOVE else threshold
    lowest, trials, doubtful = threshold, 0, 0
    for block in reversed(blocks):
        trials, doubtful = trials + block.trials, doubtful + block.doubtful
        touches = block.high >= lowest - 1e-9
        enough = block.trials >= MIN_OUTCOMES_TO_MOVE and block.doubtful <= limit * block.trials
        if block.low < threshold and not (
            touches and enough and confidence.wilson_interval(doubtful, trials)[1] <= limit
        ):
            break
        lowest = min(lowest, block.low)
    return lowest


def _exceeds_budget(block: _PooledBands, limit: float) -> bool:
    return (
        block.wrong >= MIN_WRONG_TO_TURN_OFF
        and confidence.wilson_interval(block.wrong, block.trials)[0] > limit
    )


def _group_by_band(samples: Iterable[Sample]) -> list[_PooledBands]:
    """One block a band that has outcomes, by score."""
    found: dict[int, list[Verdict]] = {}
    for sample in samples:
        found.setdefault(int(sample.score / BAND_WIDTH + 1e-9), []).append(sample.verdict)
    return [
        _PooledBands(
            round(number * BAND_WIDTH, 4),
            round((number + 1) * BAND_WIDTH, 4),
            len(band),
            band.count("wrong"),
            len(band) - band.count("right"),
        )
        for number, band in sorted(found.items())
    ]


def _pool_adjacent_violators(bands: Sequence[_PooledBands]) -> list[_PooledBands]:
    """Pool neighbours until a higher score never has a higher rate of wrong ones."""
    pooled: list[_PooledBands] = []
    for band in bands:
        pooled.append(band)
        while (
            len(pooled) > 1
            and pooled[-1].wrong * pooled[-2].trials > pooled[-2].wrong * pooled[-1].trials
        ):
            high, low = pooled.pop(), pooled.pop()
            pooled.append(
                _PooledBands(
                    low.low,
                    high.high,
                    low.trials + high.trials,
                    low.wrong + high.wrong,
                    low.doubtful + high.doubtful,
                )
            )
    return pooled
