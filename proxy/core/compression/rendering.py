"""Pieces that were cut further, put together again: what is left of JSON is JSON, of code a fenced block, of a table a table."""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from proxy.core.compression.document import Pieces
from proxy.core.compression.speakers import quoted
from proxy.core.compression.structure import JSON, Kind, Node, Structure

LEFT_OUT = "…"
_LEFT_OUT_VALUE = f'"{LEFT_OUT}"'
_LEFT_OUT_MEMBER = f"{_LEFT_OUT_VALUE}:{_LEFT_OUT_VALUE}"
_LEFT_OUT_ROW = f"| {LEFT_OUT} |"
# Line ends of JSON stand between its values, never inside its strings.
_LINE_END = re.compile(r"(?<!\s)\s*\n\s*")


class Item(NamedTuple):
    """A piece or a node as written. `start`, `end`: its place in the text; `first`, `last`: the pieces it speaks for, those that it marks
    as left out included."""

    start: int
    end: int
    first: int
    last: int
    text: str


class Rendering:
    """Writes what is kept of one text. `indices`: of pieces of it, ascending; `names`: who speaks in the chat."""

    def __init__(self, pieces: Pieces, source: int, names: Collection[str]) -> None:
        self._pieces, self._names = pieces, names
        self._text = pieces.sources[source].text
        self._first = pieces.first[source]
        self._structure = pieces.structures.get(source) or Structure(b"", b"", b"")

    def items(self, indices: Sequence[int]) -> list[Item]:
        """What stands side by side in the text."""
        return list(self._items([(index, self._path(index)) for index in indices], 0))

    def _path(self, index: int) -> list[int]:
        """The nodes around a piece, the outermost first."""
        found: list[int] = []
        node = self._pieces.fragment(index).parent
        while node >= 0:
            found.append(node)
            node = self._structure.nodes[node].parent
        return found[::-1]

    def _items(self, kept: Sequence[tuple[int, list[int]]], depth: int) -> Iterator[Item]:
        def key(item: tuple[int, list[int]]) -> int:
            index, path = item
            return path[depth] if depth < len(path) else -1 - index

        for node, some in groupby(kept, key=key):
            if node >= 0:
                yield self._of_node(node, list(some), depth)
                continue
            index = -1 - node
            piece = self._pieces[index]
            parent = self._pieces.fragment(index).parent
            inside = parent >= 0 and self._structure.nodes[parent].kind in JSON
            yield Item(piece.start, piece.end, index, index, _in_a_line(piece.text) if inside else piece.text)

    def _of_node(self, number: int, kept: Sequence[tuple[int, list[int]]], depth: int) -> Item:
        node = self._structure.nodes[number]
        first, last = (self._first + edge for edge in self._structure.edges[number])
        if len(kept) == last - first + 1:
            text = self._text[node.start : node.end]
            return Item(node.start, node.end, first, last, _in_a_line(text) if node.kind in JSON else text)
        inner = list(self._items(kept, depth + 1))
        if node.kind is Kind.TURN:
            first, last = inner[0].first, inner[-1].last
        return Item(node.start, node.end, first, last, self._joined(node, inner, first, last))

    def _joined(self, node: Node, inner: list[Item], first: int, last: int) -> str:
        head, tail = self._text[node.start : node.head], self._text[node.tail : node.end]
        left_out = inner[0].first != first, inner[-1].last != last
        if node.kind in JSON:
            return _json(node.kind, inner, left_out, head)
        if node.kind is Kind.TURN:
            return head + quoted(self.side_by_side(inner), self._names)
        mark = _LEFT_OUT_ROW if node.kind is Kind.TABLE else LEFT_OUT
        lines = "\n".join(line.rstrip("\n") for line in _marked(inner, left_out, mark))
        return f"{head}{lines}\n{tail}" if tail else f"{head}{lines}"

    def side_by_side(self, items: Sequence[Item]) -> str:
        """As in the text. What was left out is marked, on a line of its own where a line ended in it."""
        return _side_by_side(items, lambda left, right: self._text[left.end : right.start])


def _json(kind: Kind, inner: Sequence[Item], left_out: tuple[bool, bool], head: str) -> str:
    if kind is Kind.ARRAY:
        return f"[{','.join(_marked(inner, left_out, _LEFT_OUT_VALUE))}]"
    if kind is Kind.STRING:
        return f'"{"".join(_marked(inner, left_out, LEFT_OUT))}"'
    if kind is Kind.MEMBER:
        return head + inner[0].text
    apart = any(left_out) or any(_apart(*some) for some in pairwise(inner))
    return f"{{{','.join([*(item.text for item in inner), *([_LEFT_OUT_MEMBER] if apart else [])])}}}"


def _side_by_side(items: Sequence[Item], between: Callable[[Item, Item], str]) -> str:
    out = [items[0].text]
    for left, right in pairwise(items):
        space = between(left, right)
        out += [gap(space) if _apart(left, right) else space, right.text]
    return "".join(out)


def gap(space: str) -> str:
    """The mark for what was left out, by the text it stood in."""
    return f"\n{LEFT_OUT}\n" if "\n" in space else f" {LEFT_OUT} "


def _apart(left: Item, right: Item) -> bool:
    return left.last + 1 != right.first


def _marked(inner: Sequence[Item], left_out: tuple[bool, bool], mark: str) -> Iterator[str]:
    """The texts with a mark wherever something is missing."""
    if left_out[0]:
        yield mark
    yield inner[0].text
    for left, right in pairwise(inner):
        if _apart(left, right):
            yield mark
        yield right.text
    if left_out[1]:
        yield mark


def _in_a_line(text: str) -> str:
    return _LINE_END.sub(" ", text) if "\n" in text else text
