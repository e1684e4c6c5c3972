"""Stretches of a chat that are ranked as one: a message, or a few sentences of a long one.

What a question needs is most often said in one message, and half a message says little; but a long answer of a model holds much that has
nothing to do with it.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from proxy.core.compression.pieces import Pieces

# Characters: a text of so many is one segment, a longer one is cut into stretches of about so many.
WHOLE, STRETCH = 512, 256


class Segments:
    """`of`: the segment of each piece, ascending from 0."""

    def __init__(self, pieces: Pieces) -> None:
        lengths = np.array([len(source.text) for source in pieces.sources], dtype=np.int64)
        stretch = np.where(lengths[pieces.source] <= WHOLE, 0, pieces.start // STRETCH) if len(pieces) else np.zeros(0, dtype=np.int64)
        new = np.diff(pieces.source, prepend=-1).astype(bool) | np.diff(stretch, prepend=0).astype(bool)
        self.of: NDArray[np.int64] = np.cumsum(new) - 1
        self.first: NDArray[np.int64] = np.flatnonzero(new)
        self._pieces = pieces

    def __len__(self) -> int:
        return len(self.first)

    @property
    def source(self) -> NDArray[np.int32]:
        """The text that each segment stands in."""
        return self._pieces.source[self.first]

    def texts(self) -> Iterator[str]:
        """What each says."""
        last = np.append(self.first[1:], len(self._pieces)) - 1
        places = zip(self.source.tolist(), self._pieces.start[self.first].tolist(), self._pieces.end[last].tolist(), strict=True)
        return (self._pieces.sources[source].text[start:end] for source, start, end in places)
