"""How the fragments of a split text belong together, in compact arrays that are quick to join."""

from array import array
from enum import IntEnum
from functools import cached_property
from itertools import chain
from typing import NamedTuple

# Integers per node, fragment and split piece.
NODE_WIDTH, FRAGMENT_WIDTH, WHOLE_WIDTH = 6, 3, 4


class NodeKind(IntEnum):
    """The kind of a node, which decides how its kept children are joined."""

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
    """Characters `start` to `end` of a text."""

    kind: NodeKind
    start: int
    end: int
    # The index of the node around it, -1 for none.
    parent: int
    # End of the prefix and start of the suffix that always frame the children.
    head: int
    tail: int


class Fragment(NamedTuple):
    """The place of a piece in a structure."""

    # Its node, or -1.
    parent: int
    # The `SplitPiece` it belongs to, -1 for none.
    whole: int
    # Holds no words, such as a picture in base64.
    is_opaque: bool


UNCUT_FRAGMENT = Fragment(-1, -1, False)


class SplitPiece(NamedTuple):
    """A sentence or block that was split: its pieces are `first` to before `end`."""

    first: int
    end: int
    # Of the unsplit text.
    tokens: int
    # Whether it is kept whole wherever it fits.
    is_atomic: bool


class Structure:
    """The structure of one text; `fragments` has an entry for each piece."""

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
    """Pack rows into bytes, as `Structure` reads them."""
    return array("i", chain.from_iterable(rows)).tobytes()


def _unpack_rows(data: bytes, width: int) -> list[tuple[int, ...]]:
    flat = memoryview(data).cast("i").tolist()
    return list(zip(*(flat[column::width] for column in range(width)), strict=True))
