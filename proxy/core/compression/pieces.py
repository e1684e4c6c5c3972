"""The earlier history in pieces, in columns: 5,000 of them are joined from what was read before without a loop over them."""

from array import array
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.int32]

# Bytes of a start and an end.
SPAN = 8


class Source(NamedTuple):
    """A text that pieces come from. `unit` is an index into the units; `part` into the message's content parts, -1 for a unit that is
    kept or dropped whole."""

    unit: int
    part: int
    text: str


class Piece(NamedTuple):
    """A sentence or block, or a whole unit (`part` -1). `unit` is an index into the units; `part` into the message's content parts;
    `start`, `end` in characters of that part."""

    unit: int
    text: str
    part: int = -1
    start: int = 0
    end: int = 0


class Pieces(Sequence[Piece]):
    """The pieces of some texts in the order of the chat: as a sequence one by one, as columns all at once."""

    def __init__(self, sources: Sequence[Source], spans: Sequence[bytes]) -> None:
        """`spans`: start and end of each piece of a text, int32 (`Passage.spans`)."""
        self.sources = sources
        edges = np.frombuffer(b"".join(spans), dtype=np.int32)
        self.start: Column = edges[::2]
        self.end: Column = edges[1::2]
        # Which text each piece stands in.
        self.source: Column = np.repeat(np.arange(len(sources), dtype=np.int32), [len(some) // SPAN for some in spans])

    @classmethod
    def whole(cls, sources: Sequence[Source]) -> "Pieces":
        """Each text one piece."""
        return cls(sources, [array("i", (0, len(source.text))).tobytes() for source in sources])

    @cached_property
    def unit(self) -> Column:
        """The unit of each piece, ascending."""
        return np.array([source.unit for source in self.sources], dtype=np.int32)[self.source]

    @cached_property
    def _rows(self) -> list[tuple[int, int, int]]:
        # An element of an array takes ten times as long to read as one of a list.
        return list(zip(self.source.tolist(), self.start.tolist(), self.end.tolist(), strict=True))

    def of(self, index: int) -> Source:
        """The text that a piece stands in."""
        return self.sources[self._rows[index][0]]

    def __len__(self) -> int:
        return len(self.source)

    @overload
    def __getitem__(self, index: int) -> Piece: ...
    @overload
    def __getitem__(self, index: slice) -> list[Piece]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place, start, end = self._rows[index]
        source = self.sources[place]
        return Piece(source.unit, source.text[start:end], source.part, start, end)
