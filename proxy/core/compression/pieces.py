"""The earlier history in pieces, in columns: 5,000 of them are joined from what was read before without a loop over them."""

from array import array
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from proxy.core.compression.structure import UNCUT, Fragment, Structure, Whole

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

    def __init__(self, sources: Sequence[Source], spans: Sequence[bytes], structures: Mapping[int, Structure] | None = None) -> None:
        """`spans`: start and end of each piece of a text, int32 (`Passage.spans`); `structures`: of the texts by index in which
        pieces were cut further."""
        self.sources, self.structures = sources, structures or {}
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

    @cached_property
    def first(self) -> list[int]:
        """Index of the first piece of each text."""
        starts: list[int] = np.searchsorted(self.source, np.arange(len(self.sources))).tolist()
        return starts

    @cached_property
    def opaque(self) -> Column:
        """The indices of those that say nothing in words."""
        found = [
            self.first[source] + index
            for source, structure in self.structures.items()
            for index, fragment in enumerate(structure.fragments)
            if fragment.opaque
        ]
        return np.array(found, dtype=np.int32)

    def at(self, index: int) -> int:
        """Index of the text that a piece stands in."""
        return self._rows[index][0]

    def fragment(self, index: int) -> Fragment:
        """What a piece is of what was cut further; of a piece that was not, nothing."""
        source = self._rows[index][0]
        structure = self.structures.get(source)
        return structure.fragments[index - self.first[source]] if structure else UNCUT

    def cut_from(self, index: int) -> tuple[range, Whole] | None:
        """The pieces that the sentence or block of this one was cut into."""
        number = self.fragment(index).whole
        if number < 0:
            return None
        source = self._rows[index][0]
        whole, first = self.structures[source].wholes[number], self.first[source]
        return range(first + whole.first, first + whole.end), whole

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
