"""Chosen pieces of the earlier chat as one text: who said what, in the order of the chat, with a mark wherever something was left out."""

from collections.abc import Sequence
from itertools import groupby, pairwise

from proxy.core.compression.pieces import Pieces
from proxy.core.compression.speech import labels, quoted, speaker
from proxy.core.compression.turns import Unit
from proxy.core.ports import Message

LEFT_OUT = "…"


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
        for _, indices in groupby(chosen, key=lambda index: self._pieces.of(index).unit):
            some = list(indices)
            if some[0] != last + 1:
                lines.append(LEFT_OUT)
            lines.append(self._line(some))
            last = some[-1]
        if lines and last != len(self._pieces) - 1:
            lines.append(LEFT_OUT)
        return "\n".join(lines)

    def quoted(self, text: str) -> str:
        """A text as it is written on a line of its own."""
        return quoted(f"\n{text}", self._names)[1:]

    def _line(self, indices: Sequence[int]) -> str:
        """What is kept of one unit behind its speaker."""
        first = self._pieces[indices[0]]
        return first.text if first.part < 0 else f"{self._speaker(first.unit)}: {quoted(self._said(indices), self._names)}"

    def _speaker(self, unit: int) -> str:
        return speaker(self._messages[self._chat[unit].messages[0]])

    def _said(self, indices: Sequence[int]) -> str:
        out = [self._pieces[indices[0]].text]
        for left, right in pairwise(indices):
            out += [self._between(left, right), self._pieces[right].text]
        return "".join(out)

    def _between(self, left: int, right: int) -> str:
        """White space between neighbours stays. What was left out is marked, on a line of its own where a line ended in it."""
        one, other = self._pieces[left], self._pieces[right]
        if one.part != other.part:
            return "\n" if right == left + 1 else f"\n{LEFT_OUT}\n"
        between = self._pieces.of(left).text[one.end : other.start]
        if right == left + 1:
            return between
        return f"\n{LEFT_OUT}\n" if "\n" in between else f" {LEFT_OUT} "
