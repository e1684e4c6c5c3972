"""Rank sentences by TextRank (Mihalcea and Tarau 2004), as sumy's TextRankSummarizer does."""

import numpy as np

from proxy.core.compression.algorithms.power_method import power_iteration
from proxy.core.compression.algorithms.sentence_graph import Floats, SentenceGraph
from proxy.core.compression.document import Document, TermBags

# sumy/summarizers/text_rank.py: damping, the guard against rows of zeros, and the step at which the
# power method stops.
DAMPING = 0.85
ZERO_ROW_GUARD = 1e-7
EPSILON = 1e-4
# Significant decimals of a rank.
RANK_DIGITS = 14


def rank(history: Document) -> list[float]:
    """Return the stationary probability of each sentence, stopped where sumy stops.

    Raises DocumentTooLong.
    """
    found: list[float] = compute_ranks(history.bags).tolist()
    return found


def compute_ranks(bags: TermBags) -> Floats:
    """Return the TextRank of each sentence, given as bags of terms."""
    # sumy multiplies by the transposed row-stochastic matrix and does not renormalise, so sentences
    # without any term leak. So do we, as the weights are symmetric: p' = (1-d)/n sum(p) + d W (p /
    # row sums).
    size = len(bags.term_counts)
    if not size:
        return np.zeros(0)
    graph = SentenceGraph(bags)
    row_sums = graph.multiply_vector(np.ones(size)) + ZERO_ROW_GUARD

    def follow(current: Floats) -> Floats:
        following: Floats = (
            1.0 - DAMPING
        ) / size * current.sum() + DAMPING * graph.multiply_vector(current / row_sums)
        return following

    # Rounded, so that equal sentences stay equal whatever the order of summing.
    return np.round(power_iteration(follow, np.full(size, 1.0 / size), EPSILON), RANK_DIGITS)
