"""JSON as providers write it: what clients accept is read,
and whether it can be written again as it came is told apart.

Python's reader, and with it most clients, takes `NaN` and `Infinity` (RFC 8259 section 6 has
neither), halves of surrogate pairs and integers of any length. orjson refuses the former and rounds
the latter. Such a value is good enough to learn usage or an error from.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

import orjson

from proxy.core.formats.json_marks import KEY_WEIGHT

MAX_JSON_BYTES: Final = 16 * 1024 * 1024
# A tenth of a second to parse, which holds up the event loop whoever calls.
MAX_JSON_VALUES: Final = 500_000
_DIGITS_TO_ZERO: Final = bytes.maketrans(b"123456789", b"0" * 9)
_TWENTY_ZEROS: Final = b"0" * 20
_LONG_NUMBER: Final = re.compile(rb"\d{20}")


@dataclass(frozen=True, slots=True)
class ParsedJson:
    """A value, and whether writing it again says the same.

    `is_exact` False: it is read only, never kept.
    """

    value: Any
    is_exact: bool


def parse_json(data: bytes) -> ParsedJson | None:
    """The value of these bytes, None where it is no JSON or too much of it to be read."""
    if not is_readable(data):
        return None
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return _parse_leniently(data)
    return ParsedJson(
        value,
        is_exact=not _has_long_number(data)
        or _parse_leniently(data) == ParsedJson(value, is_exact=False),
    )


def is_readable(data: bytes) -> bool:
    """Whether it takes no longer to parse than others may wait."""
    if len(data) > MAX_JSON_BYTES:
        return False
    return len(data) < MAX_JSON_VALUES or estimate_value_count(data) <= MAX_JSON_VALUES


def estimate_value_count(data: bytes) -> int:
    """Values in a JSON text, of which a key counts as two, or more:
    the marks inside of its strings count too."""
    return data.count(b",") + data.count(b"[") + data.count(b"{") + KEY_WEIGHT * data.count(b":")


def _has_long_number(data: bytes) -> bool:
    # The regular expression alone takes ten times as long, and few texts hold so many digits in a
    # row.
    return (
        _TWENTY_ZEROS in data.translate(_DIGITS_TO_ZERO) and _LONG_NUMBER.search(data) is not None
    )


def _parse_leniently(data: bytes) -> ParsedJson | None:
    try:
        return ParsedJson(json.loads(data), is_exact=False)
    except (ValueError, RecursionError):
        return None


def write_json(value: Any) -> bytes:
    """The value as JSON, halves of surrogate pairs and long integers included."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode()
