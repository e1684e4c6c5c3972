"""Multiply by the weight matrix of TextRank's sentence graph without forming the matrix.

Mihalcea and Tarau 2004, "TextRank: Bringing Order into Texts".
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from proxy.core.compression.document import DocumentTooLong, TermBags
from proxy.core.types import IntegerArray

Floats = NDArray[np.float64]

# Sentences a and b, as bags of terms, are joined with the weight
#
#     w(a, b) = overlap(a, b) / (log |a| + log |b|)
#
# where the overlap sums, for each term of a, how often it occurs in b. As in sumy, repeated terms
# count each time, a sentence is joined to itself, and two one-word sentences are joined with their
# overlap itself, for the logarithms are 0.
#
# With X the sparse matrix of sentences by terms the overlaps are X Xᵀ, four fifths of it filled in
# a long chat. But the divisor depends on the two lengths only, and 1 / (x + y) is a Cauchy kernel,
# whose numerical rank is about ten however many lengths there are (Beckermann and Townsend 2017,
# doi:10.1137/16M1096426). With 1 / (log |a| + log |b|) = sum over k of l_ak r_bk,
#
#     W v = sum over k of  diag(l_k) X Xᵀ diag(r_k) v
#
# so one step costs as many multiplications as there are words in the chat, twenty times over, and
# no n x n matrix is formed.

# Entries of the largest array of a step, 8 bytes each. A chat of 250,000 tokens has 300,000.
MAX_ENTRIES = 4_000_000
# Relative error of a weight allowed to the factors. Ranks differ by the same relative amount:
# negligible beside the step at which TextRank stops.
MAX_FACTOR_ERROR = 1e-10


class SentenceGraph:
    """The weights between `len(bags.term_counts)` sentences, as a linear operator.

    Raises DocumentTooLong if there are too many terms or sentences.
    """

    def __init__(self, bags: TermBags) -> None:
        terms, columns = np.unique(bags.terms, return_inverse=True)
        lengths, of_length = np.unique(bags.term_counts, return_inverse=True)
        left, right = factor_kernel(lengths)
        if left.shape[1] * max(len(bags.term_counts), len(terms)) > MAX_ENTRIES:
            raise DocumentTooLong
        self._left, self._right = left[of_length], right[of_length]
        starts = np.concatenate([[0], np.cumsum(bags.term_counts, dtype=np.int64)])
        self._occurrences = csr_array(
            (np.ones(len(columns)), columns, starts), shape=(len(bags.term_counts), len(terms))
        )
        self._transposed = self._occurrences.T

    def multiply_vector(self, vector: Floats) -> Floats:
        """Return W v."""
        spread = self._occurrences @ (self._transposed @ (self._right * vector[:, None]))
        product: Floats = np.einsum("ij,ij->i", self._left, spread)
        return product


def factor_kernel(lengths: IntegerArray) -> tuple[Floats, Floats]:
    """Return L and R, a row per length, with L Rᵀ = 1 / (log a + log b) to MAX_FACTOR_ERROR.

    1 where both lengths are 1.
    """
    # For lengths above 1 the kernel is positive definite and pivoted Cholesky finds the few columns
    # (Harbrecht, Peters and Schneider 2012, doi:10.1016/j.apnum.2011.10.001). The row and column of
    # length 1, which are not part of it, take two more.
    single = lengths <= 1
    logs = np.where(single, 1.0, np.log(np.maximum(lengths, 2)))
    columns: list[Floats] = []
    missing = np.where(single, 0.0, 0.5 / logs)
    limit = MAX_FACTOR_ERROR * missing.max(initial=0.0)
    while missing.max(initial=0.0) > limit:
        pivot = int(missing.argmax())
        column = np.where(single, 0.0, 1.0 / (logs + logs[pivot]))
        for earlier in columns:
            column -= earlier * earlier[pivot]
        columns.append(column / np.sqrt(missing[pivot]))
        missing = missing - columns[-1] ** 2
        missing[pivot] = 0.0
    ones, others = single.astype(np.float64), np.where(single, 0.0, 1.0 / logs)
    return np.stack([*columns, ones, others + ones], axis=1), np.stack(
        [*columns, others, ones], axis=1
    )
