"""The sentence graph of TextRank without its matrix.

Sentences a and b, as bags of terms, are joined with the weight

    w(a, b) = overlap(a, b) / (log |a| + log |b|)          overlap: for each term of a, how often it stands in b

(Mihalcea and Tarau 2004, "TextRank: Bringing Order into Texts", as sumy reads it: repeated terms count each time, a sentence is joined to
itself, and two one-word sentences are joined with their overlap itself, for the logarithms are 0.)

With X the sparse matrix of sentences by terms the overlaps are X Xᵀ, four fifths of it filled in a long chat. But the weight depends on
the two lengths only, and a chat has few of them. So for a vector v, with the sentences grouped in classes of one length,

    Y_ct = sum of v_j X_jt over class c,    Z_at = sum over c of Y_ct / (log |a| + log |c|),    (W v)_i = sum over t of X_it Z_class(i),t

and most terms stand in few classes, so Y and Z hold little more than X does and the step between them is a small sparse matrix, made once.
No n x n matrix is formed: 60,000 tokens take a few milliseconds.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from proxy.core.compression.history import TooLong

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

# Entries of the step from Y to Z, 12 bytes each and as much again while it is made. A chat of 60,000 tokens has half a million.
MAX_ENTRIES = 8_000_000


def coordinates(bags: Sequence[Sequence[str]]) -> tuple[Indices, Indices]:
    """The sparse matrix of sentences by terms as row and column of each occurrence. A repeated term is a repeated entry."""
    column: dict[str, int] = {}
    columns = np.fromiter((column.setdefault(term, len(column)) for bag in bags for term in bag), dtype=np.intp)
    rows = np.repeat(np.arange(len(bags)), [len(bag) for bag in bags])
    return rows, columns


class SentenceGraph:
    """The weights between `len(bags)` sentences, as an operator. Raises TooLong when lengths and terms are too many to hold."""

    def __init__(self, bags: Sequence[Sequence[str]]) -> None:
        lengths, length_class = np.unique([len(bag) for bag in bags], return_inverse=True)
        self._rows, columns = coordinates(bags)
        # The filled cells of Y: (class, term) pairs, and the cell of each occurrence.
        cells, self._cell = np.unique(columns * len(lengths) + length_class[self._rows], return_inverse=True)
        term, cell_class = np.divmod(cells, len(lengths))
        if (np.bincount(term) ** 2).sum() > MAX_ENTRIES:
            raise TooLong
        self._spread = _spread(term, cell_class, lengths)

    def times(self, vector: Floats) -> Floats:
        """W v."""
        by_class = np.bincount(self._cell, vector[self._rows], minlength=self._spread.shape[0])
        spread: Floats = self._spread @ by_class
        return np.bincount(self._rows, spread[self._cell], minlength=len(vector)).astype(np.float64, copy=False)


def _spread(term: Indices, cell_class: Indices, lengths: Indices) -> csr_array:
    """The step from Y to Z: between cells of one term, one over the sum of the logarithms of their lengths."""
    incidence = csr_array((np.ones(len(term)), (np.arange(len(term)), term)), shape=(len(term), term.max(initial=0) + 1))
    logs = np.log(np.maximum(lengths, 1))[cell_class]
    step = (incidence @ incidence.T).tocoo()
    norms = logs[step.row] + logs[step.col]
    # 1e-8 is numpy.isclose's absolute tolerance, by which sumy decides.
    return csr_array((1.0 / np.where(norms <= 1e-8, 1.0, norms), (step.row, step.col)), shape=step.shape)
