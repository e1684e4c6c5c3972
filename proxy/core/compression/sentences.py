"""A message text in pieces to keep or drop: sentences of its prose, and its code blocks, tables and lists whole.

Prose is cut at lines that end a thought, then by nupunkt (Punkt, Kiss and Strunk 2006, doi:10.1162/coli.2006.32.4.485), then at the
full stops of Chinese and Japanese. nupunkt takes a time that is quadratic in a run without spaces (12 s for 100,000 times `?!`), so long
runs are hidden from it, and text with a stop in every few characters is not prose and is left whole: that took 7 us a character.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from proxy.core.compression.blocks import blocks

if TYPE_CHECKING:
    from nupunkt import PunktSentenceTokenizer

Span = tuple[int, int]

_RUN = re.compile(r"\S{80,}")
_STOP = re.compile(r"[.!?…]")
_NEWLINE = re.compile(r"\n")
_FULL_WIDTH_STOP = re.compile(r"[。！？｡]+[」』”’）》】]*")
# A line this long that goes on in lower case was wrapped by an editor, not ended by its writer.
_WRAPPED = 50
# Longer than this with a stop every so many characters: figures, dots or an attack.
_LONG = 2000
_PROSE = 8


@lru_cache(maxsize=1)
def _punkt() -> "PunktSentenceTokenizer":
    import nupunkt

    return nupunkt.load("default")


def _hide(run: re.Match[str]) -> str:
    return "x" * (len(run[0]) - 1) + run[0][-1]


def _thoughts(text: str, start: int, end: int) -> Iterator[Span]:
    """Prose cut at line ends, hard-wrapped lines left together."""
    begin = line = start
    for newline in _NEWLINE.finditer(text, start, end):
        at = newline.end()
        wrapped = at - line > _WRAPPED and text[at : at + 1].islower() and text[at - 2] not in ".!?:;"
        line = at
        if not wrapped:
            yield begin, at
            begin = at
    yield begin, end


def _stops(text: str, start: int, end: int) -> Iterator[Span]:
    """Cut after the full stops of Chinese and Japanese."""
    begin = start
    for stop in _FULL_WIDTH_STOP.finditer(text, start, end):
        yield begin, stop.end()
        begin = stop.end()
    yield begin, end


def _prose(text: str, start: int, end: int) -> Iterator[Span]:
    for thought in _thoughts(text, start, end):
        left, right = _trimmed(text, *thought)
        stops = _inner_stops(text, left, right)
        if not stops or (right - left > _LONG and stops * _PROSE > right - left):
            yield from _stops(text, left, right)
            continue
        for first, last in _punkt().span_tokenize(_RUN.sub(_hide, text[left:right])):
            yield from _stops(text, left + first, left + last)


def _inner_stops(text: str, start: int, end: int) -> int:
    return sum(1 for _ in _STOP.finditer(text, start, end - 1))


def _trimmed(text: str, start: int, end: int) -> Span:
    """The span without white space at either end."""
    inner = text[start:end]
    return start + len(inner) - len(inner.lstrip()), end - len(inner) + len(inner.rstrip())


def pieces(text: str) -> list[Span]:
    """Spans (start, end) in characters, in order, none blank; between two neighbours stands white space or nothing."""
    found: list[Span] = []
    for block in blocks(text):
        spans = [(block.start, block.end)] if block.whole else _prose(text, block.start, block.end)
        found.extend(span for span in (_trimmed(text, *span) for span in spans) if span[0] < span[1])
    return found
