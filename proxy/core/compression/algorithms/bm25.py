"""BM25 (Robertson and Zaragoza 2009, doi:10.1561/1500000019) of the segments of one chat,
for questions that weigh every term."""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy.core.types import IntegerArray

Floats = NDArray[np.float64]

# The usual values: how soon a repeated term counts no more, and how far long segments are held
# against it.
K1, B = 1.2, 0.75


class BM25Index:
    """Of `terms` (a number for each occurrence), where `of` says in
    which of `size` segments each stands. `vocabulary`: the distinct terms, ascending."""

    def __init__(self, terms: IntegerArray, of: IntegerArray, size: int) -> None:
        self.vocabulary, columns = np.unique(terms, return_inverse=True)
        self._size, self._lengths = size, np.bincount(of, minlength=size)
        pairs, self._counts = np.unique(
            of * np.int64(len(self.vocabulary)) + columns, return_counts=True
        )
        self._rows, self._columns = np.divmod(pairs, max(1, len(self.vocabulary)))

    @cached_property
    def _weights(self) -> Floats:
        """Of each term in each segment that has it."""
        long = K1 * (1 - B + B * self._lengths / max(self._lengths.mean(), 1e-9))
        rare = compute_idf(np.bincount(self._columns), self._size)[self._columns]
        found: Floats = rare * self._counts * (K1 + 1) / (self._counts + long[self._rows])
        return found

    def score_segments(self, asked: Floats) -> Floats:
        """A score for each segment.

        `asked`: how much each term of the vocabulary is asked for, 0..1.
        """
        if not len(self._rows):
            return np.zeros(self._size)
        return np.bincount(
            self._rows, self._weights * asked[self._columns], minlength=self._size
        ).astype(np.float64)


def compute_idf(frequency: NDArray[np.integer[Any]], size: int) -> Floats:
    """The logarithm of how rare terms are that stand in so many of `size` segments;
    always above 0."""
    return -np.log((frequency + 0.5) / np.float64(size + 1))
