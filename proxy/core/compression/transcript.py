"""Write selected pieces of the earlier chat as one text with speakers and omission marks."""

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from proxy.core.compression.document import Pieces
from proxy.core.compression.rendering import OMISSION_MARK, FragmentRenderer, RenderedItem
from proxy.core.compression.speakers import collect_labels, get_speaker, quote_forged_speakers
from proxy.core.compression.units import Unit
from proxy.core.types import Message


class TranscriptWriter:
    """Writes selected pieces of one chat."""

    def __init__(self, pieces: Pieces, chat: Sequence[Unit], messages: list[Message]) -> None:
        self._pieces = pieces
        self._chat, self._messages = chat, messages
        self._names = collect_labels(
            messages[index] for unit in chat for index in unit.message_indices
        )

    def write_pieces(self, chosen: Sequence[int]) -> str:
        """Write the pieces of these ascending indices; "" for none."""
        lines: list[str] = []
        last = -1
        for unit, indices in groupby(chosen, key=lambda index: self._pieces.get_source(index).unit):
            parts = [
                self._render_source(list(some))
                for _, some in groupby(indices, key=self._pieces.find_source)
            ]
            if parts[0][1][0].first != last + 1:
                lines.append(OMISSION_MARK)
            lines.append(self._render_unit(unit, parts))
            last = parts[-1][1][-1].last
        if lines and last != len(self._pieces) - 1:
            lines.append(OMISSION_MARK)
        return "\n".join(lines)

    def quote_line(self, text: str) -> str:
        """Return a text as it is written on a line of its own."""
        return quote_forged_speakers(f"\n{text}", self._names)[1:]

    def iter_framing(self, index: int) -> Iterator[tuple[tuple[int, int], str]]:
        """Yield what must be written around a fragment: the number and text of each node."""
        source, node = self._pieces.find_source(index), self._pieces.get_fragment(index).parent
        while node >= 0:
            found = self._pieces.structures[source].nodes[node]
            text = self._pieces.sources[source].text
            yield (source, node), text[found.start : found.head] + text[found.tail : found.end]
            node = found.parent

    def _render_source(self, indices: list[int]) -> tuple[FragmentRenderer, list[RenderedItem]]:
        """Render what is kept of one text."""
        rendering = FragmentRenderer(
            self._pieces, self._pieces.find_source(indices[0]), self._names
        )
        return rendering, rendering.render_items(indices)

    def _render_unit(
        self, unit: int, parts: list[tuple[FragmentRenderer, list[RenderedItem]]]
    ) -> str:
        """Render what is kept of one unit, after its speaker."""
        out = [parts[0][0].join_items(parts[0][1])]
        for (_, before), (rendering, items) in pairwise(parts):
            out += [
                "\n" if before[-1].last + 1 == items[0].first else f"\n{OMISSION_MARK}\n",
                rendering.join_items(items),
            ]
        said = "".join(out)
        # A unit that is kept or dropped whole has its speakers in its text.
        whole = self._pieces.get_source(parts[0][1][0].first).part < 0
        return (
            said
            if whole
            else f"{self._get_speaker(unit)}: {quote_forged_speakers(said, self._names)}"
        )

    def _get_speaker(self, unit: int) -> str:
        return get_speaker(self._messages[self._chat[unit].message_indices[0]])
