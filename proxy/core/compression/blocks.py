"""A message text in blocks: fenced code, tables and lists stay whole, the rest is prose. One pass over the lines, linear.

The marks are those of GitHub Flavored Markdown (github.github.com/gfm): fenced code blocks 4.5, list items 5.2, tables 4.10.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

_LINE = re.compile(r"[^\n]*\n|[^\n]+$")
_FENCE = re.compile(r"[ \t>]{0,12}(`{3,}|~{3,})")
_OPENING = re.compile(r"[ \t>]{0,12}(?:(?:[-*+•‣–]|\d{1,4}[.)])[ \t]+)?(`{3,}|~{3,})")
_ITEM = re.compile(r"[ \t]{0,12}(?:[-*+•‣–]|\d{1,4}[.)])[ \t]+\S")
_INDENTED = re.compile(r"[ \t]+\S")
_ROW = re.compile(r"[ \t]{0,12}\|")
# How a line begins that may begin a block, after indents and quotation marks; most lines do not, and are not looked at closer.
_INDENTS = " \t>"
_MARKS = frozenset("`~-*+•‣–0123456789")
_DELIMITER = re.compile(r"[ \t]*(?:\|[ \t]*)?:?-+:?[ \t]*(?:\|[ \t]*(?::?-+:?[ \t]*)?)+$")


@dataclass(frozen=True, slots=True)
class Block:
    """Characters `start` to `end` of a text. All but prose is kept or dropped as one where it fits."""

    start: int
    end: int
    kind: Literal["prose", "code", "table", "list"]

    @property
    def whole(self) -> bool:
        return self.kind != "prose"


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a text in order; together they cover all of it but blank lines around whole blocks."""
    found = _LINE.findall(text)
    marked = [line.lstrip(_INDENTS)[:1] in _MARKS or "|" in line for line in found]
    if True not in marked:
        if text:
            yield Block(0, len(text), "prose")
        return
    ends = list(accumulate(map(len, found)))
    lines = list(zip([0, *ends], ends, strict=False))
    at = prose = 0
    while at < len(lines):
        kind, after = _whole(text, lines, at) if marked[at] else ("prose", 0)
        if kind == "prose":
            at += 1
            continue
        if prose < at:
            yield Block(lines[prose][0], lines[at][0], "prose")
        yield Block(lines[at][0], lines[after - 1][1], kind)
        at = prose = after
    if prose < len(lines):
        yield Block(lines[prose][0], len(text), "prose")


def _whole(text: str, lines: list[tuple[int, int]], at: int) -> tuple[Literal["prose", "code", "table", "list"], int]:
    """What starts at line `at`, and the index after it."""
    if after := _code(text, lines, at):
        return "code", after
    if after := _table(text, lines, at):
        return "table", after
    after = _list(text, lines, at)
    return ("list", after) if after else ("prose", 0)


def _code(text: str, lines: list[tuple[int, int]], at: int) -> int:
    """Index after the fenced code block that starts at line `at`, or 0. An unclosed fence runs to the end of the text."""
    opening = _OPENING.match(text, *lines[at])
    if not opening:
        return 0
    mark = opening[1]
    for after in range(at + 1, len(lines)):
        closing = _FENCE.match(text, *lines[after])
        if closing and closing[1].startswith(mark) and not text[closing.end() : lines[after][1]].strip():
            return after + 1
    return len(lines)


def _table(text: str, lines: list[tuple[int, int]], at: int) -> int:
    """Index after the table that starts at line `at`, or 0: a header over a delimiter row, or two rows that begin with a bar."""
    if at + 1 >= len(lines):
        return 0
    start, end = lines[at]
    barred = _ROW.match(text, start, end) and _ROW.match(text, *lines[at + 1])
    if not barred and not ("|" in text[start:end] and _DELIMITER.match(text[slice(*lines[at + 1])].rstrip())):
        return 0
    after = at + 1
    while after < len(lines) and "|" in text[slice(*lines[after])]:
        after += 1
    return after


def _list(text: str, lines: list[tuple[int, int]], at: int) -> int:
    """Index after the list of two items or more that starts at line `at`, or 0. Indented lines and fenced code belong to their item,
    and blank lines between items to the list."""
    if not _ITEM.match(text, *lines[at]):
        return 0
    items, after, last = 1, at + 1, at + 1
    while after < len(lines):
        span = lines[after]
        if _ITEM.match(text, *span):
            items += 1
        elif text[slice(*span)].strip() and not _INDENTED.match(text, *span):
            break
        after = _code(text, lines, after) or after + 1
        if text[slice(*span)].strip():
            last = after
    return last if items > 1 else 0
