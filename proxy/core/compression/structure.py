"""How the fragments of a text that was cut further belong together,
in a form that is small and quickly joined."""

from array import array
from enum import IntEnum
from functools import cached_property
from itertools import chain
from typing import NamedTuple

# Integers of a node, of a fragment and of a whole.
NODE_WIDTH, FRAGMENT_WIDTH, WHOLE_WIDTH = 6, 3, 4


class NodeKind(IntEnum):
    """What a node is: it says how those of its children that are kept are put together again."""

    TEXT = 0
    ARRAY = 1
    OBJECT = 2
    MEMBER = 3
    STRING = 4
    FENCE = 5
    TABLE = 6
    TURN = 7


JSON_KINDS = frozenset({NodeKind.ARRAY, NodeKind.OBJECT, NodeKind.MEMBER, NodeKind.STRING})


class Node(NamedTuple):
    """Characters `start` to `end` of a text.

    `head`: where what always goes before the children ends; `tail`: where what always goes behind
    them starts; `parent`: the index of the node around it, -1 for none.
    """

    kind: NodeKind
    start: int
    end: int
    parent: int
    head: int
    tail: int


class Fragment(NamedTuple):
    """What a piece is beside a span.

    `parent`: its node or -1; `whole`: the sentence or block it was cut from, -1 where it was cut
    from none; `is_opaque`: says nothing in words, such as a picture in base64.
    """

    parent: int
    whole: int
    is_opaque: bool


# Of a piece that was not cut further.
UNCUT_FRAGMENT = Fragment(-1, -1, False)


class SplitPiece(NamedTuple):
    """A sentence or block that was cut further: its pieces from `first` to before `end`,
    what it costs uncut, and whether it is kept whole wherever it fits (`is_atomic`)."""

    first: int
    end: int
    tokens: int
    is_atomic: bool


class Structure:
    """Of one text; `fragments` has an entry for each piece."""

    def __init__(self, fragments: bytes, wholes: bytes, nodes: bytes) -> None:
        self._fragments, self._wholes, self._nodes = fragments, wholes, nodes

    @cached_property
    def fragments(self) -> list[Fragment]:
        return [
            Fragment(parent, whole, bool(opaque))
            for parent, whole, opaque in _unpack_rows(self._fragments, FRAGMENT_WIDTH)
        ]

    @cached_property
    def wholes(self) -> list[SplitPiece]:
        return [
            SplitPiece(first, end, tokens, bool(atomic))
            for first, end, tokens, atomic in _unpack_rows(self._wholes, WHOLE_WIDTH)
        ]

    @cached_property
    def nodes(self) -> list[Node]:
        return [
            Node(NodeKind(kind), *rest) for kind, *rest in _unpack_rows(self._nodes, NODE_WIDTH)
        ]

    @cached_property
    def edges(self) -> list[tuple[int, int]]:
        """The first and the last fragment inside each node."""
        found = [(-1, -1)] * len(self.nodes)
        for index, fragment in enumerate(self.fragments):
            node = fragment.parent
            while node >= 0:
                found[node] = (found[node][0] if found[node][0] >= 0 else index, index)
                node = self.nodes[node].parent
        return found


def pack_rows(rows: list[Fragment] | list[SplitPiece] | list[Node]) -> bytes:
    """As `Structure` reads them."""
    return array("i", chain.from_iterable(rows)).tobytes()


def _unpack_rows(data: bytes, width: int) -> list[tuple[int, ...]]:
    flat = memoryview(data).cast("i").tolist()
    return list(zip(*(flat[column::width] for column in range(width)), strict=True))
