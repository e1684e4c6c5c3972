"""Find JSON documents within a text, and the spans of their elements and members.

Python's own parser says where a value ends, so only JSON is found. It gives up at a depth of some
hundreds.
"""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

# Shorter documents stay in their sentence; one that is a whole line may be shorter.
MIN_DOCUMENT_LENGTH, MIN_LINE_DOCUMENT_LENGTH = 200, 32
# Failed attempts allowed per text: each may read the text to its end.
MAX_FAILURES = 24

_BEGINNING = re.compile(r"[\[{](?=\s{0,64}[\"\[{\d\-tfn\]}])")
_BETWEEN = re.compile(r"[\s,]*")
_COLON = re.compile(r"\s*:\s*")
# Numbers stay text: a very long one is no error, and no time is lost on its digits.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, strict=False)


class JsonSpan(NamedTuple):
    """The characters of an element or member; `value_start`: where its value starts."""

    start: int
    end: int
    value_start: int


def find_documents(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the spans of objects and arrays from `start` to `end`, in order, none nested."""
    failures, at = 0, start
    while failures < MAX_FAILURES and (beginning := _BEGINNING.search(text, at, end)):
        at = beginning.start()
        after = find_value_end(text, at)
        if after is None or after > end:
            failures += 1
            at += 1
            continue
        if after - at >= MIN_DOCUMENT_LENGTH or (
            after - at >= MIN_LINE_DOCUMENT_LENGTH and _is_whole_line(text, at, after)
        ):
            yield at, after
        at = after


def find_value_end(text: str, start: int) -> int | None:
    """Return where the JSON value at `start` ends, or None if there is none."""
    try:
        return _DECODER.raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        return None


def find_children(text: str, start: int, end: int) -> list[JsonSpan]:
    """Return the elements of the array, or the members of the object, from `start` to `end`."""
    is_object, found, at = text[start] == "{", list[JsonSpan](), start + 1
    while (at := _match_end(_BETWEEN, text, at)) < end - 1:
        inner = _match_end(_COLON, text, find_value_end(text, at) or at) if is_object else at
        after = find_value_end(text, inner)
        if after is None:
            break
        found.append(JsonSpan(at, after, inner))
        at = after
    return found


def _match_end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _is_whole_line(text: str, start: int, end: int) -> bool:
    """Return whether nothing else stands in the line."""
    return not text[text.rfind("\n", 0, start) + 1 : start].strip() and text[end : end + 1] in (
        "",
        "\n",
        "\r",
    )
