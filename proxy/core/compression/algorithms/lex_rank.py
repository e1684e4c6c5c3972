"""Rank sentences by LexRank as sumy does, with sparse products instead of its quadratic loops.

Erkan and Radev 2004, doi:10.1613/jair.1523.
"""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from proxy.core.compression.document import Document, DocumentTooLong

# sumy compares all pairs of sentences in Python, 2 s for 300 of them. Its cosine is that of vectors
# of term frequency times idf, so the matrix of cosines is a product. Its threshold, epsilon and
# power method are used unchanged, so the ranks are the same.

# The matrix is dense: 72 MB of float64 at this size, 0.5 s.
MAX_SENTENCES = 3000
_BLOCK_ROWS = 256


def rank(history: Document) -> list[float]:
    """Return the stationary probability of each sentence.

    Raises DocumentTooLong above MAX_SENTENCES.
    """
    if len(history.pieces) > MAX_SENTENCES:
        raise DocumentTooLong
    from sumy.summarizers.lex_rank import LexRankSummarizer

    matrix = build_transitions(history.terms, LexRankSummarizer.threshold)
    if not matrix.any():  # no terms, or none that distinguishes sentences: sumy divides by zero
        return [0.0] * len(history.pieces)
    ranks: list[float] = LexRankSummarizer.power_method(matrix, LexRankSummarizer.epsilon).tolist()
    return ranks


def build_transitions(bags: Sequence[Sequence[str]], threshold: float) -> NDArray[np.float64]:
    """Return sumy's row-stochastic `_create_matrix` for sentences given as bags of terms.

    Sentences whose cosine is above the threshold are joined with equal weights.
    """
    size = len(bags)
    vectors = _build_unit_vectors(bags)
    matrix = np.zeros((size, size))
    for start in range(0, size, _BLOCK_ROWS):
        matrix[start : start + _BLOCK_ROWS] = (
            vectors[start : start + _BLOCK_ROWS] @ vectors.T
        ).toarray() > threshold
    degrees = matrix.sum(axis=1)
    return matrix / np.where(degrees == 0, 1.0, degrees)[:, None]


def _build_unit_vectors(bags: Sequence[Sequence[str]]) -> csr_array:
    """Return sentences x terms, tf / max tf x log(n / (1 + df)), each row of length 1 or zero."""
    frequency = Counter(term for bag in bags for term in set(bag))
    idf = {term: math.log(len(bags) / (1 + count)) for term, count in frequency.items()}
    column = {term: index for index, term in enumerate(frequency)}
    values: list[float] = []
    columns: list[int] = []
    ends = [0]
    for bag in bags:
        counts = Counter(bag)
        most = max(counts.values(), default=1)
        row = [count / most * idf[term] for term, count in counts.items()]
        norm = math.sqrt(sum(value**2 for value in row)) or 1.0
        values.extend(value / norm for value in row)
        columns.extend(column[term] for term in counts)
        ends.append(len(values))
    return csr_array((values, columns, ends), shape=(len(bags), len(column)))
