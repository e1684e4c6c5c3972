"""Split a piece that is larger than its share of the budget, so that parts of it fit.

JSON is split at elements and members, code at functions and lines, tables at rows, lists at items,
units of several messages at messages, all else into windows that end where a reader would pause.
Linear in the text.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from proxy.core.compression.structure import Fragment, Node, NodeKind, SplitPiece, pack_rows
from proxy.core.text.json_text import JsonSpan, find_children, find_documents, find_value_end
from proxy.core.text.opaque_runs import KEPT_HEAD_LENGTH, find_opaque_runs
from proxy.core.text.sentences import split_blocks
from proxy.core.text.windows import split_string_windows, split_windows
from proxy.core.tokens import count_text, count_up_to

Span = tuple[int, int]
# Start of a message in the text of a unit, end of its speaker's name, and end of the message.
TurnSpan = tuple[int, int, int]

# A piece above this share of the budget may be split further, but none of fewer tokens than this.
MAX_PIECE_SHARE, MIN_SHARE_TOKENS = 1 / 16, 16
# Characters of a window, and of a group that stays together (an object, some lines of code), per
# token of the share.
WINDOW_CHARACTERS_PER_TOKEN, MIN_WINDOW_CHARACTERS, MAX_WINDOW_CHARACTERS = 2, 32, 160
GROUP_CHARACTERS_PER_TOKEN, MIN_GROUP_CHARACTERS, MAX_GROUP_CHARACTERS = 5, 80, 640
# Array elements shorter than this are grouped.
MAX_SMALL_ELEMENT_CHARACTERS = 40
# JSON is split to this depth.
MAX_JSON_DEPTH = 24

_LINE = re.compile(r"[^\n]*\n|[^\n]+$")
_LIST_ITEM_START = re.compile(r"[ \t]{0,12}(?:[-*+•‣–]|\d{1,4}[.)])[ \t]+\S")


class PieceShare(NamedTuple):
    """The most tokens of an encoding that a piece may have before it is split further."""

    tokens: int
    encoding: str

    @classmethod
    def for_budget(cls, budget: int, encoding: str) -> "PieceShare":
        return cls(max(MIN_SHARE_TOKENS, round(budget * MAX_PIECE_SHARE)), encoding)


class FragmentedText(NamedTuple):
    """The pieces of a text, which of them are opaque, and the structure of the split ones."""

    spans: list[Span]
    opaque: list[bool]
    # None if no piece was split.
    structure: tuple[bytes, bytes, bytes] | None


def split_large_spans(
    text: str, spans: list[Span], share: PieceShare, turns: Sequence[TurnSpan] = ()
) -> FragmentedText:
    """Split the spans that exceed the share into fragments.

    `turns`: the messages in the text of a unit of several.
    """
    if len(text.encode("utf-8", "surrogatepass")) <= share.tokens or not any(
        _exceeds_share(text, span, share) for span in spans
    ):
        return FragmentedText(spans, [False] * len(spans), None)
    cutter = _Fragmenter(text, share)
    for span in spans:
        cutter.add_span(span, turns)
    opaque = [fragment.is_opaque for fragment in cutter.fragments]
    return FragmentedText(
        cutter.spans,
        opaque,
        (pack_rows(cutter.fragments), pack_rows(cutter.wholes), pack_rows(cutter.nodes)),
    )


def _exceeds_share(text: str, span: Span, share: PieceShare) -> bool:
    start, end = span
    # No character is more than four tokens, none of ASCII more than one.
    if (end - start) * 4 <= share.tokens:
        return False
    said = text[start:end]
    if said.isascii() and end - start <= share.tokens:
        return False
    return count_up_to(said, share.encoding, share.tokens) is None


class _Fragmenter:
    def __init__(self, text: str, share: PieceShare) -> None:
        self._text, self._share = text, share
        self._window_characters = min(
            MAX_WINDOW_CHARACTERS,
            max(MIN_WINDOW_CHARACTERS, WINDOW_CHARACTERS_PER_TOKEN * share.tokens),
        )
        self._group_characters = min(
            MAX_GROUP_CHARACTERS,
            max(MIN_GROUP_CHARACTERS, GROUP_CHARACTERS_PER_TOKEN * share.tokens),
        )
        self.spans: list[Span] = []
        self.fragments: list[Fragment] = []
        self.wholes: list[SplitPiece] = []
        self.nodes: list[Node] = []

    def add_span(self, span: Span, turns: Sequence[TurnSpan]) -> None:
        """Add a span, in fragments if it exceeds the share."""
        if not _exceeds_share(self._text, span, self._share):
            self.spans.append(span)
            self.fragments.append(Fragment(-1, -1, False))
            return
        first = len(self.spans)
        atomic = self._add_turns(turns) if turns else self._add_blocks(*span, -1)
        tokens = count_text(self._text[slice(*span)], self._share.encoding)
        self.wholes.append(SplitPiece(first, len(self.spans), tokens, atomic))

    def _add_turns(self, turns: Sequence[TurnSpan]) -> bool:
        for start, head, end in turns:
            self._add_blocks(
                head, end, self._add_node(Node(NodeKind.TURN, start, end, -1, head, end))
            )
        return True

    def _add_blocks(self, start: int, end: int, parent: int) -> bool:
        """Split any text into its blocks; return whether it is a single block that is not prose."""
        found = [
            (start + block.start, start + block.end, block.kind)
            for block in split_blocks(self._text[start:end])
        ]
        cut: dict[str, Callable[[int, int, int], None]] = {
            "prose": self._add_prose,
            "code": self._add_code_block,
            "table": self._add_table,
            "list": self._add_list_items,
        }
        for left, right, kind in found:
            cut[kind](left, right, parent)
        return len(found) == 1 and found[0][2] != "prose"

    def _add_prose(self, start: int, end: int, parent: int) -> None:
        at = start
        for left, right in find_documents(self._text, start, end):
            self._add_plain_text(at, left, parent)
            self._add_json_value(left, right, parent, 0)
            at = right
        self._add_plain_text(at, end, parent)

    def _add_plain_text(self, start: int, end: int, parent: int) -> None:
        at = start
        for left, right in find_opaque_runs(self._text, start, end):
            self._add_all_leaves(
                split_windows(self._text, at, left + KEPT_HEAD_LENGTH, self._window_characters),
                parent,
            )
            self._add_leaf(left + KEPT_HEAD_LENGTH, right, parent, opaque=True)
            at = right
        self._add_all_leaves(split_windows(self._text, at, end, self._window_characters), parent)

    def _add_code_block(self, start: int, end: int, parent: int) -> None:
        """Split a fenced block; the fence lines frame whatever is kept."""
        lines = [
            (start + line.start(), start + line.end())
            for line in _LINE.finditer(self._text[start:end])
        ]
        closed = (
            len(lines) > 1
            and self._text[slice(*lines[-1])].strip().strip("`~>")
            == ""
            != self._text[slice(*lines[-1])].strip()
        )
        body = lines[1:-1] if closed else lines[1:]
        if not body or lines[0][1] - start > self._window_characters:
            self._add_plain_text(start, end, parent)
            return
        node = self._add_node(
            Node(NodeKind.FENCE, start, end, parent, lines[0][1], lines[-1][0] if closed else end)
        )
        left, right = self._trim_span(body[0][0], body[-1][1])
        if left < right and self._text[left] in "[{" and find_value_end(self._text, left) == right:
            self._add_json_value(left, right, node, 0)
        else:
            self._add_code_lines(body, node)

    def _add_code_lines(self, lines: list[Span], parent: int) -> None:
        """Group lines up to a size, ending early before a function or after a blank line."""
        first = last = lines[0][0]
        for start, end in lines:
            blank, outer = not self._text[start:end].strip(), self._text[start] not in " \t\r\n)]}"
            # Only a group that has reached a third of the size ends early.
            long = last - first
            if long and (
                end - first > self._group_characters
                or (long * 3 > self._group_characters and (blank or outer))
            ):
                self._add_code_stretch(first, last, parent)
                first = start
            last = end
        self._add_code_stretch(first, last, parent)

    def _add_code_stretch(self, start: int, end: int, parent: int) -> None:
        """Add some lines with their indentation."""
        if end - start > self._group_characters:
            self._add_plain_text(start, end, parent)
            return
        while (
            start < end
            and not self._text[start : (line := self._find_line_end(start, end))].strip()
        ):
            start = line
        inner = self._text[start:end].rstrip()
        if inner:
            self._add_leaf(start, start + len(inner), parent)

    def _find_line_end(self, start: int, end: int) -> int:
        found = self._text.find("\n", start, end)
        return end if found < 0 else found + 1

    def _add_table(self, start: int, end: int, parent: int) -> None:
        lines = [
            (start + line.start(), start + line.end())
            for line in _LINE.finditer(self._text[start:end])
        ]
        heads = 2 if len(lines) > 2 and not self._text[slice(*lines[1])].strip(" \t\r\n|:-") else 1
        if len(lines) <= heads or lines[heads - 1][1] - start > self._group_characters:
            self._add_plain_text(start, end, parent)
            return
        node = self._add_node(Node(NodeKind.TABLE, start, end, parent, lines[heads - 1][1], end))
        for left, right in lines[heads:]:
            self._add_leaf_or_windows(left, right, node)

    def _add_list_items(self, start: int, end: int, parent: int) -> None:
        first = start
        for line in _LINE.finditer(self._text[start:end]):
            at = start + line.start()
            if at > first and _LIST_ITEM_START.match(self._text, at, start + line.end()):
                self._add_leaf_or_windows(first, at, parent)
                first = at
        self._add_leaf_or_windows(first, end, parent)

    def _add_leaf_or_windows(self, start: int, end: int, parent: int) -> None:
        if end - start > self._group_characters:
            self._add_prose(start, end, parent)
        else:
            left, right = self._trim_span(start, end)
            if left < right:
                self._add_leaf(left, right, parent)

    # ------------------------------------------------------------ JSON

    def _add_json_value(self, start: int, end: int, parent: int, depth: int) -> None:
        opening = self._text[start]
        if end - start <= self._group_characters:
            self._add_leaf(start, end, parent)
        elif depth >= MAX_JSON_DEPTH or opening not in '[{"':
            self._add_leaf(start, end, parent, opaque=True)
        elif opening == '"':
            self._add_json_string(start, end, parent)
        else:
            node = self._add_node(
                Node(
                    NodeKind.ARRAY if opening == "[" else NodeKind.OBJECT,
                    start,
                    end,
                    parent,
                    start + 1,
                    end - 1,
                )
            )
            for some in self._group_small_values(find_children(self._text, start, end)):
                self._add_json_children(some, node, depth + 1)

    def _add_json_children(self, some: list[JsonSpan], node: int, depth: int) -> None:
        left, right = some[0].start, some[-1].end
        if right - left <= self._group_characters or some[0].value_start == left:
            self._add_json_value(left, right, node, depth) if len(some) == 1 else self._add_leaf(
                left, right, node
            )
            return
        inner = some[0].value_start
        member = self._add_node(Node(NodeKind.MEMBER, left, right, node, inner, right))
        self._add_json_value(inner, right, member, depth)

    def _group_small_values(self, found: list[JsonSpan]) -> Iterator[list[JsonSpan]]:
        """Group small values with their neighbours; yield the others one by one."""
        some: list[JsonSpan] = []
        for value in found:
            if some and (
                value.end - value.start > MAX_SMALL_ELEMENT_CHARACTERS
                or value.end - some[0].start > self._window_characters
            ):
                yield some
                some = []
            some.append(value)
            if value.end - value.start > MAX_SMALL_ELEMENT_CHARACTERS:
                yield some
                some = []
        if some:
            yield some

    def _add_json_string(self, start: int, end: int, parent: int) -> None:
        node, at = (
            self._add_node(Node(NodeKind.STRING, start, end, parent, start + 1, end - 1)),
            start + 1,
        )
        for left, right in find_opaque_runs(self._text, start + 1, end - 1):
            self._add_all_leaves(
                split_string_windows(
                    self._text, at, left + KEPT_HEAD_LENGTH, self._window_characters
                ),
                node,
            )
            self._add_leaf(left + KEPT_HEAD_LENGTH, right, node, opaque=True)
            at = right
        self._add_all_leaves(
            split_string_windows(self._text, at, end - 1, self._window_characters), node
        )

    # ------------------------------------------------------------ what is found

    def _add_node(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def _add_all_leaves(self, spans: Iterable[Span], parent: int) -> None:
        for start, end in spans:
            self._add_leaf(start, end, parent)

    def _add_leaf(self, start: int, end: int, parent: int, *, opaque: bool = False) -> None:
        self.spans.append((start, end))
        self.fragments.append(Fragment(parent, len(self.wholes), opaque))

    def _trim_span(self, start: int, end: int) -> Span:
        inner = self._text[start:end]
        return start + len(inner) - len(inner.lstrip()), end - len(inner) + len(inner.rstrip())
