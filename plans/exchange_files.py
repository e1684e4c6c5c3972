"""Rows as JSON and CSV files, out and in. Pure.

A spreadsheet takes a cell that begins with =, +, -, @ or a control character for a formula (OWASP, CSV Injection). Such cells get an
apostrophe in front, and so do those that begin with one, so that reading takes exactly one away.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Literal

Format = Literal["json", "csv"]
FORMATS: Final[tuple[Format, ...]] = ("json", "csv")
MOST_ROWS: Final = 20_000
MOST_BYTES: Final = 2_000_000  # below Django's limit of a form, which carries the file from the dry run to the saving
_GUARDED: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "'")


class BadFile(ValueError):
    """The file cannot be read at all, in words."""


def to_json(name: str, rows: Iterable[Mapping[str, Any]]) -> str:
    """An object with one list, so that the file says what it holds."""
    return json.dumps({name: list(rows)}, indent=2, ensure_ascii=False) + "\n"


def to_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """RFC 4180. None and what a row has not are empty cells; true and false in lower case."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([_out(row.get(column)) for column in columns] for row in rows)
    return out.getvalue()


def _out(value: Any) -> str:
    if value is None:
        return ""
    text = json.dumps(value) if isinstance(value, bool) else str(value)
    return f"'{text}" if text.startswith(_GUARDED) else text


def from_json(name: str, content: bytes) -> list[dict[str, Any]]:
    """Numbers with a point are Decimal, as exact as they were written. Raises BadFile."""
    try:
        found = json.loads(text_of(content), parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise BadFile(f"This is not JSON: {error}" if isinstance(error, json.JSONDecodeError) else str(error)) from None
    rows = found.get(name) if isinstance(found, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadFile(f'The file must hold {{"{name}": [...]}}, a list of objects, as an export does.')
    return _bounded(rows)


def from_csv(content: bytes) -> list[dict[str, Any]]:
    """Cells by column, empty ones as "". Raises BadFile."""
    lines = csv.reader(io.StringIO(text_of(content), newline=""), strict=True)
    try:
        columns = next(lines, [])
        if not columns or len({*columns}) < len(columns):
            raise BadFile("The first line must name the columns, each once.")
        rows = []
        for line in lines:
            if not line:
                continue
            if len(line) != len(columns):
                raise BadFile(f"Line {lines.line_num} has {len(line)} cells, and {len(columns)} columns are named.")
            rows.append({column: cell.removeprefix("'") for column, cell in zip(columns, line, strict=True)})
    except csv.Error as error:
        raise BadFile(f"This is not CSV (line {lines.line_num}): {error}") from None
    return _bounded(rows)


def text_of(content: bytes) -> str:
    """Raises BadFile."""
    if len(content) > MOST_BYTES:
        raise BadFile(f"The file is larger than {MOST_BYTES:,} bytes.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadFile("The file must be in UTF-8.") from None
    if "\0" in text:
        raise BadFile("The file has a NUL character in it.")
    return text


def _bounded(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not rows or len(rows) > MOST_ROWS:
        raise BadFile(f"The file has {len(rows):,} rows; 1 to {MOST_ROWS:,} can be taken at once.")
    return rows


def _refuse(word: str) -> Any:
    raise BadFile(f"{word} is no number that JSON knows.")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BadFile("An object of the file names a field twice.")
    return found
