"""JSON within a text: where it stands, and where its elements and members are.

Python's own parser says where a value ends, so what is taken for JSON is JSON. It gives up at a
depth of some hundreds.
"""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

# Shorter ones stay in their sentence, unless they are all of a line.
MIN_DOCUMENT_LENGTH, MIN_LINE_DOCUMENT_LENGTH = 200, 32
# So many beginnings of what is no JSON are tried in one text: each may be read to its end.
MAX_FAILURES = 24

_BEGINNING = re.compile(r"[\[{](?=\s{0,64}[\"\[{\d\-tfn\]}])")
_BETWEEN = re.compile(r"[\s,]*")
_COLON = re.compile(r"\s*:\s*")
# Numbers stay as they are written: a very long one is no error, and no time is lost on its digits.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, strict=False)


class JsonSpan(NamedTuple):
    """Characters `start` to `end`; `value_start`: where the value of a member starts,
    `start` for an element."""

    start: int
    end: int
    value_start: int


def find_documents(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Spans of objects and arrays from `start` on, in order, none within another."""
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
    """Where the JSON value ends that starts here; None where there is none."""
    try:
        return _DECODER.raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        return None


def find_children(text: str, start: int, end: int) -> list[JsonSpan]:
    """The elements of the array, or the members of the object, that is these characters."""
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
    """Whether nothing else stands in the line."""
    return not text[text.rfind("\n", 0, start) + 1 : start].strip() and text[end : end + 1] in (
        "",
        "\n",
        "\r",
    )
