"""Split a text into blocks and sentences, in one linear pass over its lines."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

from proxy.core.text.json_text import find_documents

if TYPE_CHECKING:
    from nupunkt import PunktSentenceTokenizer


# Pieces are what compression keeps or drops: sentences of prose, and whole code blocks, tables,
# lists and JSON documents.
#
# Prose is cut at lines that end a thought, then by nupunkt (Punkt, Kiss and Strunk 2006,
# doi:10.1162/coli.2006.32.4.485), then at the full stops of other scripts, which need no space
# behind them (Unicode's property Sentence_Terminal, www.unicode.org/reports/tr29). Thai and Lao
# have none: there only lines end a thought.
#
# nupunkt takes time quadratic in a run without spaces (12 s for 100,000 times `?!`), so long runs
# are hidden from it. Text with a stop in every few characters is not prose and is left whole: that
# took 7 us a character.

Span = tuple[int, int]
_LONG_RUN = re.compile(r"\S{80,}")
_VERY_LONG_RUN = re.compile(r"\S{400,}")
_STOP = re.compile(r"[.!?…]")
_CONTENT_LINE = re.compile(r"\S(?:[^\n]*\S)?")
# Chinese and Japanese; Devanagari and its kin, Arabic and Urdu, Armenian, Ethiopic, Burmese, Khmer,
# Mongolian. A wide full stop may stand in a number.
_STOP_MARKS = r"(?:[。！？｡।॥؟۔։።፧፨။។៕᠃᠉]|．(?!\d))"
_CLOSING_QUOTES = r"[」』”’»）)》】]*"
_OTHER_STOP = re.compile(rf"{_STOP_MARKS}+{_CLOSING_QUOTES}")
# Between Chinese or Japanese letters a narrow mark ends a sentence too, but not in an address.
_EAST_ASIAN_LETTERS = "\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3"
_EASTERN_STOP = re.compile(
    rf"{_STOP_MARKS}+{_CLOSING_QUOTES}|(?<=[{_EAST_ASIAN_LETTERS}])[!?]+(?=[{_EAST_ASIAN_LETTERS}])"
)
_ADDRESS = re.compile(r"://|www\.")
# A line this long that goes on in lower case was wrapped by an editor, not ended by its writer.
_MIN_WRAPPED_LENGTH = 50
# Text longer than this with a stop this often is figures, dots or an attack.
_MIN_CHECKED_LENGTH = 2000
_MIN_CHARACTERS_PER_STOP = 8


@lru_cache(maxsize=1)
def _load_punkt() -> "PunktSentenceTokenizer":
    import nupunkt

    return nupunkt.load("default")


def _hide_run(run: re.Match[str]) -> str:
    return "x" * (len(run[0]) - 1) + run[0][-1]


def split_pieces(text: str) -> list[Span]:
    """Return the spans (start, end) of a text's pieces, in order, none blank.

    Between two neighbours stands white space or nothing.
    """
    found: list[Span] = []
    for block in split_blocks(text):
        if block.is_whole:
            found.append(_trim_span(text, block.start, block.end))
        else:
            found += _split_around_documents(text, block.start, block.end)
    return found


def _split_around_documents(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield the spans of prose and of the JSON documents in it."""
    # JSON is not cut at the full stops of its strings.
    for left, right in find_documents(text, start, end):
        yield from _split_prose(text, start, left)
        yield left, right
        start = right
    yield from _split_prose(text, start, end)


def _split_prose(text: str, start: int, end: int) -> list[Span]:
    found: list[Span] = []
    for left, right in _split_lines(text, start, end):
        if not _STOP.search(text, left, right - 1) or _is_no_prose(text, left, right):
            found.append((left, right))
        else:
            found += [
                _trim_span(text, left + first, left + last)
                for first, last in _split_sentences(text[left:right])
            ]
    if text.isascii():
        return found
    return [
        _trim_span(text, *span)
        for left, right in found
        for span in _split_at_stops(text, left, right)
    ]


def _split_lines(text: str, start: int, end: int) -> list[Span]:
    """Return the trimmed spans of prose lines, hard-wrapped ones joined."""
    found: list[Span] = []
    for line in _CONTENT_LINE.finditer(text, start, end):
        left, right = line.span()
        if found and text[left].islower() and _is_wrapped(text, start, found[-1][1], left):
            found[-1] = (found[-1][0], right)
        else:
            found.append((left, right))
    return found


def _is_wrapped(text: str, start: int, last: int, left: int) -> bool:
    """Return whether the line that starts at `left` goes on with what ended at `last`."""
    if text[left - 1] != "\n" or text.find("\n", last) != left - 1:
        return False
    begun = max(start, text.rfind("\n", start, last) + 1)
    return left - begun > _MIN_WRAPPED_LENGTH and text[left - 2] not in ".!?:;"


def _is_no_prose(text: str, left: int, right: int) -> bool:
    """Return whether the span is long, with a stop in every few characters."""
    return (
        right - left > _MIN_CHECKED_LENGTH
        and sum(1 for _ in _STOP.finditer(text, left, right - 1)) * _MIN_CHARACTERS_PER_STOP
        > right - left
    )


def _split_sentences(prose: str) -> Iterator[Span]:
    hidden, runs = _LONG_RUN.subn(_hide_run, prose)
    yield from _load_punkt().span_tokenize(hidden)
    if runs and _VERY_LONG_RUN.search(prose):
        # It caches its decisions on 32,768 words, however long they are.
        _load_punkt().clear_decision_cache()


def _split_at_stops(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield the span cut after the full stops of other scripts."""
    begin = start
    stops = _OTHER_STOP if _ADDRESS.search(text, start, end) else _EASTERN_STOP
    for stop in stops.finditer(text, start, end):
        if begin < stop.end():
            yield begin, stop.end()
        begin = stop.end()
    if begin < end:
        yield begin, end


def _trim_span(text: str, start: int, end: int) -> Span:
    """Return the span without white space at either end."""
    if not (text[start].isspace() or text[end - 1].isspace()):
        return start, end
    inner = text[start:end]
    return start + len(inner) - len(inner.lstrip()), end - len(inner) + len(inner.rstrip())


# Blocks: fenced code, tables and lists stay whole, the rest is prose. The marks are those of GitHub
# Flavored Markdown (github.github.com/gfm): fenced code blocks 4.5, list items 5.2, tables 4.10.

_BLOCK_LINE = re.compile(r"[^\n]*\n|[^\n]+$")
_FENCE = re.compile(r"[ \t>]{0,12}(`{3,}|~{3,})")
_FENCE_OPENING = re.compile(r"[ \t>]{0,12}(?:(?:[-*+•‣–]|\d{1,4}[.)])[ \t]+)?(`{3,}|~{3,})")
_LIST_ITEM = re.compile(r"[ \t]{0,12}(?:[-*+•‣–]|\d{1,4}[.)])[ \t]+\S")
_INDENTED_LINE = re.compile(r"[ \t]+\S")
_TABLE_ROW = re.compile(r"[ \t]{0,12}\|")
# First characters of lines that may begin a block, after indents and quotation marks; most lines
# have none, and are not matched further.
_INDENT_CHARACTERS = " \t>"
_BLOCK_MARKS = frozenset("`~-*+•‣–0123456789")
_TABLE_DELIMITER = re.compile(r"[ \t]*(?:\|[ \t]*)?:?-+:?[ \t]*(?:\|[ \t]*(?::?-+:?[ \t]*)?)+$")


@dataclass(frozen=True, slots=True)
class Block:
    """Characters `start` to `end` of a text; all but prose is kept or dropped whole if it fits."""

    start: int
    end: int
    kind: Literal["prose", "code", "table", "list"]

    @property
    def is_whole(self) -> bool:
        return self.kind != "prose"


def split_blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of a text in order, covering all but blank lines around whole blocks."""
    found = _BLOCK_LINE.findall(text)
    marked = [line.lstrip(_INDENT_CHARACTERS)[:1] in _BLOCK_MARKS or "|" in line for line in found]
    if True not in marked:
        if text:
            yield Block(0, len(text), "prose")
        return
    ends = list(accumulate(map(len, found)))
    lines = list(zip([0, *ends], ends, strict=False))
    at = prose = 0
    while at < len(lines):
        kind, after = _match_block(text, lines, at) if marked[at] else ("prose", 0)
        if kind == "prose":
            at += 1
            continue
        if prose < at:
            yield Block(lines[prose][0], lines[at][0], "prose")
        yield Block(lines[at][0], lines[after - 1][1], kind)
        at = prose = after
    if prose < len(lines):
        yield Block(lines[prose][0], len(text), "prose")


def _match_block(
    text: str, lines: list[tuple[int, int]], at: int
) -> tuple[Literal["prose", "code", "table", "list"], int]:
    """Return the kind of block at line `at`, and the index of the line after it (0 for prose)."""
    if after := _match_code(text, lines, at):
        return "code", after
    if after := _match_table(text, lines, at):
        return "table", after
    after = _match_list(text, lines, at)
    return ("list", after) if after else ("prose", 0)


def _match_code(text: str, lines: list[tuple[int, int]], at: int) -> int:
    """Return the index of the line after the fenced code block at line `at`, or 0.

    An unclosed fence runs to the end of the text.
    """
    opening = _FENCE_OPENING.match(text, *lines[at])
    if not opening:
        return 0
    mark = opening[1]
    for after in range(at + 1, len(lines)):
        closing = _FENCE.match(text, *lines[after])
        if (
            closing
            and closing[1].startswith(mark)
            and not text[closing.end() : lines[after][1]].strip()
        ):
            return after + 1
    return len(lines)


def _match_table(text: str, lines: list[tuple[int, int]], at: int) -> int:
    """Return the index of the line after the table at line `at`, or 0.

    A table is a header over a delimiter row, or two rows that begin with a bar.
    """
    if at + 1 >= len(lines):
        return 0
    start, end = lines[at]
    barred = _TABLE_ROW.match(text, start, end) and _TABLE_ROW.match(text, *lines[at + 1])
    if not barred and not (
        "|" in text[start:end] and _TABLE_DELIMITER.match(text[slice(*lines[at + 1])].rstrip())
    ):
        return 0
    after = at + 1
    while after < len(lines) and "|" in text[slice(*lines[after])]:
        after += 1
    return after


def _match_list(text: str, lines: list[tuple[int, int]], at: int) -> int:
    """Return the index of the line after the list of two items or more at line `at`, or 0.

    Indented lines and fenced code belong to their item, blank lines between items to the list.
    """
    if not _LIST_ITEM.match(text, *lines[at]):
        return 0
    items, after, last = 1, at + 1, at + 1
    while after < len(lines):
        span = lines[after]
        if _LIST_ITEM.match(text, *span):
            items += 1
        elif text[slice(*span)].strip() and not _INDENTED_LINE.match(text, *span):
            break
        after = _match_code(text, lines, after) or after + 1
        if text[slice(*span)].strip():
            last = after
    return last if items > 1 else 0
