"""A piece larger than its share of the budget, cut further, so that what is asked for of it still fits.

JSON goes by its elements and members, code by functions and lines, tables by rows, lists by items, what a unit of several messages said
by message, and everything else in windows that end where a reader would pause. Linear in the text.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from proxy.core.compression.structure import Fragment, Kind, Node, Whole, packed
from proxy.core.text.json_text import Value, children, documents, value_end
from proxy.core.text.opaque_runs import HEAD, opaque_runs
from proxy.core.text.sentences import blocks
from proxy.core.text.windows import string_windows, windows
from proxy.core.tokens import count_text, count_within

Span = tuple[int, int]
# Where a message starts in what several say, where its speaker's name ends, and where it ends.
Turn = tuple[int, int, int]

# A piece of more than this share of the budget may be cut further, and so may none of fewer tokens.
SHARE, LEAST = 1 / 16, 16
# Characters of a window, and of what belongs together: an object, some lines of code. By tokens of the share.
WINDOW, WINDOW_LEAST, WINDOW_MOST = 2, 32, 160
GROUP, GROUP_LEAST, GROUP_MOST = 5, 80, 640
# Elements of an array shorter than this go together.
SMALL = 40
# JSON is taken apart to this depth.
MAX_DEPTH = 24

_LINE = re.compile(r"[^\n]*\n|[^\n]+$")
_ITEM = re.compile(r"[ \t]{0,12}(?:[-*+•‣–]|\d{1,4}[.)])[ \t]+\S")


class Share(NamedTuple):
    """What a piece may have before it is cut further, in tokens of an encoding."""

    tokens: int
    encoding: str

    @classmethod
    def of(cls, budget: int, encoding: str) -> "Share":
        return cls(max(LEAST, round(budget * SHARE)), encoding)


class Cut(NamedTuple):
    """The pieces of a text, which of them say nothing in words, and how those that were cut further belong together; None where none
    was."""

    spans: list[Span]
    opaque: list[bool]
    structure: tuple[bytes, bytes, bytes] | None


def cut_further(text: str, spans: list[Span], share: Share, turns: Sequence[Turn] = ()) -> Cut:
    """The spans with the larger ones in fragments. `turns`: of a text that is what several messages say."""
    if len(text.encode("utf-8", "surrogatepass")) <= share.tokens or not any(_is_larger(text, span, share) for span in spans):
        return Cut(spans, [False] * len(spans), None)
    cutter = _Cutter(text, share)
    for span in spans:
        cutter.take(span, turns)
    opaque = [fragment.opaque for fragment in cutter.fragments]
    return Cut(cutter.spans, opaque, (packed(cutter.fragments), packed(cutter.wholes), packed(cutter.nodes)))


def _is_larger(text: str, span: Span, share: Share) -> bool:
    start, end = span
    # No character is more than four tokens, none of ASCII more than one.
    if (end - start) * 4 <= share.tokens:
        return False
    said = text[start:end]
    if said.isascii() and end - start <= share.tokens:
        return False
    return count_within(said, share.encoding, share.tokens) is None


class _Cutter:
    def __init__(self, text: str, share: Share) -> None:
        self._text, self._share = text, share
        self._window = min(WINDOW_MOST, max(WINDOW_LEAST, WINDOW * share.tokens))
        self._group = min(GROUP_MOST, max(GROUP_LEAST, GROUP * share.tokens))
        self.spans: list[Span] = []
        self.fragments: list[Fragment] = []
        self.wholes: list[Whole] = []
        self.nodes: list[Node] = []

    def take(self, span: Span, turns: Sequence[Turn]) -> None:
        """Add a span, in fragments where it is large."""
        if not _is_larger(self._text, span, self._share):
            self.spans.append(span)
            self.fragments.append(Fragment(-1, -1, False))
            return
        first = len(self.spans)
        atomic = self._turns(turns) if turns else self._blocks(*span, -1)
        tokens = count_text(self._text[slice(*span)], self._share.encoding)
        self.wholes.append(Whole(first, len(self.spans), tokens, atomic))

    def _turns(self, turns: Sequence[Turn]) -> bool:
        for start, head, end in turns:
            self._blocks(head, end, self._node(Node(Kind.TURN, start, end, -1, head, end)))
        return True

    def _blocks(self, start: int, end: int, parent: int) -> bool:
        """Whatever a text holds; whether it is one block."""
        found = [(start + block.start, start + block.end, block.kind) for block in blocks(self._text[start:end])]
        cut: dict[str, Callable[[int, int, int], None]] = {
            "prose": self._prose,
            "code": self._code,
            "table": self._table,
            "list": self._list,
        }
        for left, right, kind in found:
            cut[kind](left, right, parent)
        return len(found) == 1 and found[0][2] != "prose"

    def _prose(self, start: int, end: int, parent: int) -> None:
        at = start
        for left, right in documents(self._text, start, end):
            self._plain(at, left, parent)
            self._value(left, right, parent, 0)
            at = right
        self._plain(at, end, parent)

    def _plain(self, start: int, end: int, parent: int) -> None:
        at = start
        for left, right in opaque_runs(self._text, start, end):
            self._all(windows(self._text, at, left + HEAD, self._window), parent)
            self._leaf(left + HEAD, right, parent, opaque=True)
            at = right
        self._all(windows(self._text, at, end, self._window), parent)

    def _code(self, start: int, end: int, parent: int) -> None:
        """The lines of the fence stay around whatever is kept."""
        lines = [(start + line.start(), start + line.end()) for line in _LINE.finditer(self._text[start:end])]
        closed = len(lines) > 1 and self._text[slice(*lines[-1])].strip().strip("`~>") == "" != self._text[slice(*lines[-1])].strip()
        body = lines[1:-1] if closed else lines[1:]
        if not body or lines[0][1] - start > self._window:
            self._plain(start, end, parent)
            return
        node = self._node(Node(Kind.FENCE, start, end, parent, lines[0][1], lines[-1][0] if closed else end))
        left, right = self._trimmed(body[0][0], body[-1][1])
        if left < right and self._text[left] in "[{" and value_end(self._text, left) == right:
            self._value(left, right, node, 0)
        else:
            self._lines(body, node)

    def _lines(self, lines: list[Span], parent: int) -> None:
        """Lines together up to a size, cut before a function or behind a blank line where that comes late enough."""
        first = last = lines[0][0]
        for start, end in lines:
            blank, outer = not self._text[start:end].strip(), self._text[start] not in " \t\r\n)]}"
            long = last - first
            if long and (end - first > self._group or (long * 3 > self._group and (blank or outer))):
                self._stretch(first, last, parent)
                first = start
            last = end
        self._stretch(first, last, parent)

    def _stretch(self, start: int, end: int, parent: int) -> None:
        """Some lines; their indents stay."""
        if end - start > self._group:
            self._plain(start, end, parent)
            return
        while start < end and not self._text[start : (line := self._line_end(start, end))].strip():
            start = line
        inner = self._text[start:end].rstrip()
        if inner:
            self._leaf(start, start + len(inner), parent)

    def _line_end(self, start: int, end: int) -> int:
        found = self._text.find("\n", start, end)
        return end if found < 0 else found + 1

    def _table(self, start: int, end: int, parent: int) -> None:
        lines = [(start + line.start(), start + line.end()) for line in _LINE.finditer(self._text[start:end])]
        heads = 2 if len(lines) > 2 and not self._text[slice(*lines[1])].strip(" \t\r\n|:-") else 1
        if len(lines) <= heads or lines[heads - 1][1] - start > self._group:
            self._plain(start, end, parent)
            return
        node = self._node(Node(Kind.TABLE, start, end, parent, lines[heads - 1][1], end))
        for left, right in lines[heads:]:
            self._leaf_or_windows(left, right, node)

    def _list(self, start: int, end: int, parent: int) -> None:
        first = start
        for line in _LINE.finditer(self._text[start:end]):
            at = start + line.start()
            if at > first and _ITEM.match(self._text, at, start + line.end()):
                self._leaf_or_windows(first, at, parent)
                first = at
        self._leaf_or_windows(first, end, parent)

    def _leaf_or_windows(self, start: int, end: int, parent: int) -> None:
        if end - start > self._group:
            self._prose(start, end, parent)
        else:
            left, right = self._trimmed(start, end)
            if left < right:
                self._leaf(left, right, parent)

    # ------------------------------------------------------------ JSON

    def _value(self, start: int, end: int, parent: int, depth: int) -> None:
        opening = self._text[start]
        if end - start <= self._group:
            self._leaf(start, end, parent)
        elif depth >= MAX_DEPTH or opening not in '[{"':
            self._leaf(start, end, parent, opaque=True)
        elif opening == '"':
            self._string(start, end, parent)
        else:
            node = self._node(Node(Kind.ARRAY if opening == "[" else Kind.OBJECT, start, end, parent, start + 1, end - 1))
            for some in self._together(children(self._text, start, end)):
                self._child(some, node, depth + 1)

    def _child(self, some: list[Value], node: int, depth: int) -> None:
        left, right = some[0].start, some[-1].end
        if right - left <= self._group or some[0].inner == left:
            self._value(left, right, node, depth) if len(some) == 1 else self._leaf(left, right, node)
            return
        inner = some[0].inner
        member = self._node(Node(Kind.MEMBER, left, right, node, inner, right))
        self._value(inner, right, member, depth)

    def _together(self, found: list[Value]) -> Iterator[list[Value]]:
        """Small ones with their neighbours, the others one by one."""
        some: list[Value] = []
        for value in found:
            if some and (value.end - value.start > SMALL or value.end - some[0].start > self._window):
                yield some
                some = []
            some.append(value)
            if value.end - value.start > SMALL:
                yield some
                some = []
        if some:
            yield some

    def _string(self, start: int, end: int, parent: int) -> None:
        node, at = self._node(Node(Kind.STRING, start, end, parent, start + 1, end - 1)), start + 1
        for left, right in opaque_runs(self._text, start + 1, end - 1):
            self._all(string_windows(self._text, at, left + HEAD, self._window), node)
            self._leaf(left + HEAD, right, node, opaque=True)
            at = right
        self._all(string_windows(self._text, at, end - 1, self._window), node)

    # ------------------------------------------------------------ what is found

    def _node(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def _all(self, spans: Iterable[Span], parent: int) -> None:
        for start, end in spans:
            self._leaf(start, end, parent)

    def _leaf(self, start: int, end: int, parent: int, *, opaque: bool = False) -> None:
        self.spans.append((start, end))
        self.fragments.append(Fragment(parent, len(self.wholes), opaque))

    def _trimmed(self, start: int, end: int) -> Span:
        inner = self._text[start:end]
        return start + len(inner) - len(inner.lstrip()), end - len(inner) + len(inner.rstrip())
