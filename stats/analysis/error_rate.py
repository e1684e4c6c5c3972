"""Estimate from samples how often semantic hits are wrong, and learn the threshold. Pure.

Some answers cannot be judged right or wrong (`unclear`). They count as right in the lower bound and
as wrong in the upper one, so both bounds hold in any case.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from stats.analysis import confidence

Verdict = Literal["right", "wrong", "unclear"]

MIN_WINDOW_SAMPLES = 2_000  # the window, if that many can show that the budget is kept
MAX_WINDOW_SAMPLES = 40_000
WINDOW_DAYS = 30
BAND_WIDTH = 0.02
# The bound is checked after every sample, so by chance it exceeds the budget sooner or later. With
# fewer wrong samples than this the tier stays on: then 1.5 in 100 plans that keep to half of their
# budget are turned off within 2,000 samples (simulated).
MIN_WRONG_TO_TURN_OFF = 4
# The threshold needs this many outcomes to move: per band to move down, and above the new threshold
# to move up.
MIN_OUTCOMES_TO_MOVE = 50


@dataclass(frozen=True, slots=True)
class Sample:
    """One stored answer compared with the provider's.

    `at` in epoch seconds; `score`: the value that the plan's threshold applies to.
    """

    at: float
    score: float
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRateEstimate:
    """How often hits at or above `threshold` were wrong, with bounds.

    `needed`: further samples, all right, until the budget is shown to be kept; `is_over_budget`: it
    is certainly exceeded.
    """

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
        """The share of wrong samples among those that are not unclear; None without any."""
        told = self.samples - self.unclear
        return self.wrong / told if told else None

    @property
    def is_within_budget(self) -> bool:
        return self.needed == 0


def compute_window_size(limit: float) -> int:
    """Return the number of samples that can show a budget of `limit` kept, with some wrong ones."""
    return min(MAX_WINDOW_SAMPLES, max(MIN_WINDOW_SAMPLES, round(10 / limit)))


def estimate_error_rate(
    samples: Iterable[Sample], *, limit: float, threshold: float
) -> ErrorRateEstimate:
    """Estimate the rate of wrong hits from the samples that are hits under `threshold`."""
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
    """Compute the estimate from counts of samples, wrong and unclear ones."""
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
    """Adjacent bands of scores from `low` to `high` with one rate; `doubtful`: wrong or unclear."""

    low: float
    high: float
    trials: int
    wrong: int
    doubtful: int


def learn_threshold(samples: Iterable[Sample], *, limit: float, threshold: float) -> float:
    """Return the threshold that the samples support; the plan's own if they say nothing.

    Higher: above every block of bands whose wrong hits certainly exceed the budget (lower bound
    over `limit`, as for turning off), if there are outcomes above it; otherwise no threshold helps.
    Lower: down from the plan's own through adjacent blocks, each with enough outcomes and a share
    of doubtful ones of at most `limit`, as long as the upper bound of everything from there up is
    within `limit`.
    """
    # From all outcomes, also of candidates below the threshold, which are compared at no cost when
    # the provider answered anyway. The idea is that of vCache (Schroeder et al., arXiv 2502.03771):
    # correctness as a function of the score, with its confidence. Here the function is the
    # best-fitting non-increasing rate of wrong hits (isotonic regression: Ayer et al., An Empirical
    # Distribution Function for Sampling with Incomplete Information, Annals of Mathematical
    # Statistics 26, 1955) over bands of scores, with Wilson bounds.
    blocks = _pool_adjacent_violators(_group_by_band(samples))
    refuted = max((block.high for block in blocks if _exceeds_budget(block, limit)), default=0.0)
    if refuted > threshold:
        above = sum(block.trials for block in blocks if block.low >= refuted)
        return refuted if above >= MIN_OUTCOMES_TO_MOVE else threshold
    lowest, trials, doubtful = threshold, 0, 0
    for block in reversed(blocks):
        trials, doubtful = trials + block.trials, doubtful + block.doubtful
        # Scores above the plan's threshold without outcomes are no gap: they are served anyway.
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
    """Group the samples into bands of scores, in order of score."""
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
    """Pool adjacent bands until a higher score never has a higher rate of wrong ones."""
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
