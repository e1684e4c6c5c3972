"""Write what is kept of split pieces: JSON stays JSON, code a fenced block, a table a table."""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from proxy.core.compression.document import Pieces
from proxy.core.compression.speakers import quote_forged_speakers
from proxy.core.compression.structure import JSON_KINDS, Node, NodeKind, Structure

OMISSION_MARK = "…"
_OMITTED_VALUE = f'"{OMISSION_MARK}"'
_OMITTED_MEMBER = f"{_OMITTED_VALUE}:{_OMITTED_VALUE}"
_OMITTED_ROW = f"| {OMISSION_MARK} |"
# JSON has line ends only between its values, never inside its strings.
_LINE_END = re.compile(r"(?<!\s)\s*\n\s*")


class RenderedItem(NamedTuple):
    """A piece or node as written; `start` and `end` are its place in the text."""

    start: int
    end: int
    # The pieces it covers, including those it marks as left out.
    first: int
    last: int
    text: str


class FragmentRenderer:
    """Writes what is kept of one text; `names` are the speakers of the chat."""

    def __init__(self, pieces: Pieces, source: int, names: Collection[str]) -> None:
        self._pieces, self._names = pieces, names
        self._text = pieces.sources[source].text
        self._first = pieces.first_pieces[source]
        self._structure = pieces.structures.get(source) or Structure(b"", b"", b"")

    def render_items(self, indices: Sequence[int]) -> list[RenderedItem]:
        """Render pieces, given by ascending index, as items that are adjacent in the text."""
        return list(self._iter_items([(index, self._find_path(index)) for index in indices], 0))

    def _find_path(self, index: int) -> list[int]:
        """Return the nodes around a piece, the outermost first."""
        found: list[int] = []
        node = self._pieces.get_fragment(index).parent
        while node >= 0:
            found.append(node)
            node = self._structure.nodes[node].parent
        return found[::-1]

    def _iter_items(
        self, kept: Sequence[tuple[int, list[int]]], depth: int
    ) -> Iterator[RenderedItem]:
        def key(item: tuple[int, list[int]]) -> int:
            index, path = item
            return path[depth] if depth < len(path) else -1 - index

        for node, some in groupby(kept, key=key):
            if node >= 0:
                yield self._render_node(node, list(some), depth)
                continue
            index = -1 - node
            piece = self._pieces[index]
            parent = self._pieces.get_fragment(index).parent
            inside = parent >= 0 and self._structure.nodes[parent].kind in JSON_KINDS
            yield RenderedItem(
                piece.start,
                piece.end,
                index,
                index,
                _collapse_lines(piece.text) if inside else piece.text,
            )

    def _render_node(
        self, number: int, kept: Sequence[tuple[int, list[int]]], depth: int
    ) -> RenderedItem:
        node = self._structure.nodes[number]
        first, last = (self._first + edge for edge in self._structure.edges[number])
        if len(kept) == last - first + 1:
            text = self._text[node.start : node.end]
            return RenderedItem(
                node.start,
                node.end,
                first,
                last,
                _collapse_lines(text) if node.kind in JSON_KINDS else text,
            )
        inner = list(self._iter_items(kept, depth + 1))
        if node.kind is NodeKind.TURN:
            first, last = inner[0].first, inner[-1].last
        return RenderedItem(
            node.start, node.end, first, last, self._join_children(node, inner, first, last)
        )

    def _join_children(self, node: Node, inner: list[RenderedItem], first: int, last: int) -> str:
        head, tail = self._text[node.start : node.head], self._text[node.tail : node.end]
        left_out = inner[0].first != first, inner[-1].last != last
        if node.kind in JSON_KINDS:
            return _join_json(node.kind, inner, left_out, head)
        if node.kind is NodeKind.TURN:
            return head + quote_forged_speakers(self.join_items(inner), self._names)
        mark = _OMITTED_ROW if node.kind is NodeKind.TABLE else OMISSION_MARK
        lines = "\n".join(line.rstrip("\n") for line in _iter_marked_texts(inner, left_out, mark))
        return f"{head}{lines}\n{tail}" if tail else f"{head}{lines}"

    def join_items(self, items: Sequence[RenderedItem]) -> str:
        """Join items as in the text, with omission marks.

        A mark is on a line of its own if what was left out contained a line end.
        """
        return _join_side_by_side(items, lambda left, right: self._text[left.end : right.start])


def _join_json(
    kind: NodeKind, inner: Sequence[RenderedItem], left_out: tuple[bool, bool], head: str
) -> str:
    if kind is NodeKind.ARRAY:
        return f"[{','.join(_iter_marked_texts(inner, left_out, _OMITTED_VALUE))}]"
    if kind is NodeKind.STRING:
        return f'"{"".join(_iter_marked_texts(inner, left_out, OMISSION_MARK))}"'
    if kind is NodeKind.MEMBER:
        return head + inner[0].text
    apart = any(left_out) or any(_has_gap(*some) for some in pairwise(inner))
    return (
        f"{{{','.join([*(item.text for item in inner), *([_OMITTED_MEMBER] if apart else [])])}}}"
    )


def _join_side_by_side(
    items: Sequence[RenderedItem], between: Callable[[RenderedItem, RenderedItem], str]
) -> str:
    out = [items[0].text]
    for left, right in pairwise(items):
        space = between(left, right)
        out += [choose_gap_mark(space) if _has_gap(left, right) else space, right.text]
    return "".join(out)


def choose_gap_mark(space: str) -> str:
    """Return the omission mark that suits the text around what was left out."""
    return f"\n{OMISSION_MARK}\n" if "\n" in space else f" {OMISSION_MARK} "


def _has_gap(left: RenderedItem, right: RenderedItem) -> bool:
    return left.last + 1 != right.first


def _iter_marked_texts(
    inner: Sequence[RenderedItem], left_out: tuple[bool, bool], mark: str
) -> Iterator[str]:
    """Yield the texts with a mark wherever something is missing."""
    if left_out[0]:
        yield mark
    yield inner[0].text
    for left, right in pairwise(inner):
        if _has_gap(left, right):
            yield mark
        yield right.text
    if left_out[1]:
        yield mark


def _collapse_lines(text: str) -> str:
    return _LINE_END.sub(" ", text) if "\n" in text else text
