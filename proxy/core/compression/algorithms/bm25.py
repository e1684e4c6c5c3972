"""Score the segments of one chat by BM25, with a weight for each query term.

Robertson and Zaragoza 2009, doi:10.1561/1500000019.
"""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy.core.types import IntegerArray

Floats = NDArray[np.float64]

# The usual values: K1 is how soon repetitions of a term stop counting, B how much long segments are
# penalised.
K1, B = 1.2, 0.75


class BM25Index:
    """A BM25 index of one chat's segments; `vocabulary` holds the distinct terms, ascending."""

    def __init__(self, terms: IntegerArray, of: IntegerArray, size: int) -> None:
        # `terms` has a number per occurrence, `of` the segment of each.
        self.vocabulary, columns = np.unique(terms, return_inverse=True)
        self._size, self._lengths = size, np.bincount(of, minlength=size)
        pairs, self._counts = np.unique(
            of * np.int64(len(self.vocabulary)) + columns, return_counts=True
        )
        self._rows, self._columns = np.divmod(pairs, max(1, len(self.vocabulary)))

    @cached_property
    def _weights(self) -> Floats:
        """The BM25 weight of each (segment, term) pair that occurs."""
        long = K1 * (1 - B + B * self._lengths / max(self._lengths.mean(), 1e-9))
        rare = compute_idf(np.bincount(self._columns), self._size)[self._columns]
        found: Floats = rare * self._counts * (K1 + 1) / (self._counts + long[self._rows])
        return found

    def score_segments(self, asked: Floats) -> Floats:
        """Score each segment; `asked` is the query weight (0..1) of each vocabulary term."""
        if not len(self._rows):
            return np.zeros(self._size)
        return np.bincount(
            self._rows, self._weights * asked[self._columns], minlength=self._size
        ).astype(np.float64)


def compute_idf(frequency: NDArray[np.integer[Any]], size: int) -> Floats:
    """Return the inverse document frequency of terms found in `frequency` of `size` segments.

    Always above 0.
    """
    return -np.log((frequency + 0.5) / np.float64(size + 1))
