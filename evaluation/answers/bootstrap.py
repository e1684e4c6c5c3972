"""How sure a mean of paired differences is: the percentile bootstrap over chats.

Questions of one chat share its history, so chats are drawn with replacement, each with all of its
questions (the cluster bootstrap: Field and Welsh 2007, "Bootstrapping clustered data"). With fewer
than some twenty chats such intervals are rather too short.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES, SEED, SURE = 10_000, 20_160_616, 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """The mean difference, and between which bounds 95 % of the resampled means lie."""

    mean: float
    low: float
    high: float


def interval(differences: Mapping[str, Sequence[float]]) -> Interval:
    """`differences`: by chat, one a question.

    The same for the same input. Raises ValueError for none.
    """
    chats = [values for values in differences.values() if values]
    if not chats:
        raise ValueError("no differences to resample")
    sums, counts = (
        np.array([sum(values) for values in chats]),
        np.array([len(values) for values in chats]),
    )
    drawn = np.random.default_rng(SEED).integers(len(chats), size=(RESAMPLES, len(chats)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - SURE) / 2, (1 + SURE) / 2])
    return Interval(mean=float(sums.sum() / counts.sum()), low=float(low), high=float(high))
