"""Split long text into windows, each ending at the best pause, at worst between two letters."""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator

# Where a window may end, the best first: lines, sentences, tags, clauses, words, parts of an
# address.
_PAUSES = (
    re.compile(r"\n"),
    re.compile(r"[.!?…][\"'”’»)\]]*(?=\s)|[。！？｡।؟۔።។][」』”’»）)》】]*|;(?=\s)|[;}](?=\S)"),
    re.compile(r">(?=<)|\}(?=\s)"),
    re.compile(r"[,:)\]](?=\s)|[，、；：،؛]|,(?=[^\d\s])"),
    re.compile(r"\s+"),
    re.compile(r"[/&?=._\-+|,]"),
)
# Within a JSON string a line end is an escape.
_STRING_PAUSES = (re.compile(r"\\n"), *_PAUSES)
# One escape, or the two of a surrogate pair.
_ESCAPE = re.compile(r"\\u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w|\\u\w{4}|\\.")
_SPACE = re.compile(r"\s*")
# Vowels that Thai and Lao write before the consonant they are spoken after.
_LEADING_VOWELS = frozenset("เแโใไເແໂໃໄ")
_JOINER = "\u200d"
# A letter with more marks than this is an attack.
_MAX_MARKS = 16


def split_windows(text: str, start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield spans of at most `size` characters, in order, without the white space around them."""
    at = start
    while (at := _skip_space(text, at, end)) < end:
        after = end if end - at <= size else _find_pause(text, at, at + size, _PAUSES)
        yield at, at + len(text[at:after].rstrip())
        at = after


def split_string_windows(text: str, start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the windows of the inside of a JSON string; no escape is cut, white space stays."""
    escapes = [match.span() for match in _ESCAPE.finditer(text, start, end)]
    at = start
    while at < end:
        after = end if end - at <= size else _find_pause(text, at, at + size, _STRING_PAUSES)
        place = bisect_left(escapes, (after, after)) - 1
        if place >= 0 and escapes[place][0] < after < escapes[place][1]:
            after = escapes[place][1]
        yield at, after
        at = after


def _skip_space(text: str, at: int, end: int) -> int:
    match = _SPACE.match(text, at, end)
    return match.end() if match else at


def _find_pause(text: str, start: int, end: int, pauses: Iterable[re.Pattern[str]]) -> int:
    """Return where the best pause in the second half of the span ends."""
    middle = (start + end) // 2
    for pause in pauses:
        ends = [match.end() for match in pause.finditer(text, middle, end)]
        if ends:
            return ends[-1]
    return _find_letter_boundary(text, start, end)


def _find_letter_boundary(text: str, start: int, end: int) -> int:
    """Return the last place up to `end` that is not between a letter and its marks."""
    for at in range(end, max(start + 1, end - _MAX_MARKS), -1):
        if not _is_same_letter(text[at - 1], text[at : at + 1]):
            return at
    return end


def _is_same_letter(before: str, after: str) -> bool:
    """Return whether two characters belong to one letter or emoji."""
    return bool(after) and (
        before in _LEADING_VOWELS
        or _JOINER in (before, after)
        or unicodedata.category(after)[0] == "M"
        or _is_skin_tone(after)
    )


def _is_skin_tone(letter: str) -> bool:
    """Return whether a character is a modifier of the emoji before it."""
    return "\U0001f3fb" <= letter <= "\U0001f3ff"
