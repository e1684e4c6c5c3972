"""Parse JSON as leniently as clients do, and note whether it can be written back unchanged."""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

import orjson

from proxy.core.formats.json_marks import KEY_WEIGHT

MAX_JSON_BYTES: Final = 16 * 1024 * 1024
# A tenth of a second to parse, which blocks the event loop.
MAX_JSON_VALUES: Final = 500_000
_DIGITS_TO_ZERO: Final = bytes.maketrans(b"123456789", b"0" * 9)
_TWENTY_ZEROS: Final = b"0" * 20
_LONG_NUMBER: Final = re.compile(rb"\d{20}")


@dataclass(frozen=True, slots=True)
class ParsedJson:
    """A parsed value."""

    value: Any
    # Whether it can be written again unchanged; otherwise it is never stored.
    is_exact: bool


def parse_json(data: bytes) -> ParsedJson | None:
    """Parse bytes; None if they are not JSON or too large."""
    if not is_readable(data):
        return None
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return _parse_leniently(data)
    # orjson rounds integers beyond 64 bits.
    return ParsedJson(
        value,
        is_exact=not _has_long_number(data)
        or _parse_leniently(data) == ParsedJson(value, is_exact=False),
    )


def is_readable(data: bytes) -> bool:
    """Return whether parsing is quick enough not to block the event loop."""
    if len(data) > MAX_JSON_BYTES:
        return False
    return len(data) < MAX_JSON_VALUES or estimate_value_count(data) <= MAX_JSON_VALUES


def estimate_value_count(data: bytes) -> int:
    """Estimate the values of a JSON text from above; a key counts as two."""
    # Marks inside strings count too.
    return data.count(b",") + data.count(b"[") + data.count(b"{") + KEY_WEIGHT * data.count(b":")


def _has_long_number(data: bytes) -> bool:
    # The regular expression alone takes ten times as long, and few texts hold so many digits in a
    # row.
    return (
        _TWENTY_ZEROS in data.translate(_DIGITS_TO_ZERO) and _LONG_NUMBER.search(data) is not None
    )


def _parse_leniently(data: bytes) -> ParsedJson | None:
    # Python's parser, like most clients, accepts `NaN` and `Infinity` (RFC 8259 section 6 has
    # neither), lone surrogates and integers of any length. Such a value is good enough to read
    # usage or an error from.
    try:
        return ParsedJson(json.loads(data), is_exact=False)
    except (ValueError, RecursionError):
        return None


def write_json(value: Any) -> bytes:
    """Serialize a value as JSON, including lone surrogates and long integers."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode()
