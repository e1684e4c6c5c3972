"""Chosen pieces of the earlier chat as one text: who said what, in the order of the chat, with a mark wherever something was left out."""

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from proxy.core.compression.document import Pieces
from proxy.core.compression.rendering import LEFT_OUT, Item, Rendering
from proxy.core.compression.speakers import labels, quoted, speaker
from proxy.core.compression.units import Unit
from proxy.core.types import Message


class Transcript:
    """Writes the pieces of one chat."""

    def __init__(self, pieces: Pieces, chat: Sequence[Unit], messages: list[Message]) -> None:
        self._pieces = pieces
        self._chat, self._messages = chat, messages
        self._names = labels(messages[index] for unit in chat for index in unit.messages)

    def write(self, chosen: Sequence[int]) -> str:
        """The pieces of these indices, ascending; "" for none."""
        lines: list[str] = []
        last = -1
        for unit, indices in groupby(chosen, key=lambda index: self._pieces.of(index).unit):
            parts = [self._items(list(some)) for _, some in groupby(indices, key=self._pieces.at)]
            if parts[0][1][0].first != last + 1:
                lines.append(LEFT_OUT)
            lines.append(self._line(unit, parts))
            last = parts[-1][1][-1].last
        if lines and last != len(self._pieces) - 1:
            lines.append(LEFT_OUT)
        return "\n".join(lines)

    def quoted(self, text: str) -> str:
        """A text as it is written on a line of its own."""
        return quoted(f"\n{text}", self._names)[1:]

    def around(self, index: int) -> Iterator[tuple[tuple[int, int], str]]:
        """What must be written around a piece that was cut out of something: the number of each node, and its text."""
        source, node = self._pieces.at(index), self._pieces.fragment(index).parent
        while node >= 0:
            found = self._pieces.structures[source].nodes[node]
            text = self._pieces.sources[source].text
            yield (source, node), text[found.start : found.head] + text[found.tail : found.end]
            node = found.parent

    def _items(self, indices: list[int]) -> tuple[Rendering, list[Item]]:
        """What is kept of one text."""
        rendering = Rendering(self._pieces, self._pieces.at(indices[0]), self._names)
        return rendering, rendering.items(indices)

    def _line(self, unit: int, parts: list[tuple[Rendering, list[Item]]]) -> str:
        """What is kept of one unit behind its speaker; a unit that stays in one piece where it fits has its speakers in its text."""
        out = [parts[0][0].side_by_side(parts[0][1])]
        for (_, before), (rendering, items) in pairwise(parts):
            out += ["\n" if before[-1].last + 1 == items[0].first else f"\n{LEFT_OUT}\n", rendering.side_by_side(items)]
        said = "".join(out)
        whole = self._pieces.of(parts[0][1][0].first).part < 0
        return said if whole else f"{self._speaker(unit)}: {quoted(said, self._names)}"

    def _speaker(self, unit: int) -> str:
        return speaker(self._messages[self._chat[unit].messages[0]])
