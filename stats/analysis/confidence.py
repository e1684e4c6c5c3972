"""Confidence intervals of a measured rate: the score interval of E. B. Wilson. Pure.

Probable Inference, the Law of Succession, and Statistical Inference, Journal of the American
Statistical Association 22, 1927. Unlike the textbook interval it is sound for few trials and for
rates near 0.
"""

import math

NORMAL_QUANTILE_95 = 1.96  # the quantile of a two-sided interval of 95 %


def wilson_interval(wrong: int, trials: int, z: float = NORMAL_QUANTILE_95) -> tuple[float, float]:
    """Compute lower and upper bound of the rate behind `wrong` of `trials`; (0, 1) without any.

    Raises ValueError unless 0 <= wrong <= trials.
    """
    if not 0 <= wrong <= trials:
        raise ValueError(f"{wrong} of {trials} is no rate")
    if not trials:
        return 0.0, 1.0
    rate, spread = wrong / trials, z * z / trials
    middle = (rate + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(rate * (1 - rate) / trials + spread / (4 * trials))
    return max(0.0, middle - half) if wrong else 0.0, min(
        1.0, middle + half
    ) if wrong < trials else 1.0


def count_trials_needed(
    wrong: int, trials: int, limit: float, z: float = NORMAL_QUANTILE_95
) -> int:
    """Count the further correct trials that bring the upper bound down to `limit`; 0 if none.

    Raises ValueError unless 0 < limit < 1.
    """
    if not 0 < limit < 1:
        raise ValueError(f"{limit} is no limit of a rate")
    # The bound is at most `limit` when (limit - wrong / n)^2 n >= z^2 limit (1 - limit) and wrong /
    # n <= limit: a quadratic in the square root of n.
    term = z * math.sqrt(limit * (1 - limit))
    root = (term + math.sqrt(term * term + 4 * limit * wrong)) / (2 * limit)
    needed = math.ceil(root * root - trials - 1e-9)
    return max(0, needed)
