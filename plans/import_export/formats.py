"""Rows as JSON and CSV files, out and in. Pure.

A cell that a spreadsheet would take for a formula (`plans.csv_cells`) gets an apostrophe in front,
and so does one that begins with one, so that reading takes exactly one away.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Literal

from plans.csv_cells import is_risky

Format = Literal["json", "csv"]
FORMATS: Final[tuple[Format, ...]] = ("json", "csv")
MOST_ROWS: Final = 20_000
# Below Django's limit of a form, which carries the file from the dry run to the saving.
MOST_BYTES: Final = 2_000_000


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
    return f"'{text}" if text.startswith("'") or is_risky(text) else text


def from_json(name: str, content: bytes) -> list[dict[str, Any]]:
    """Numbers with a point are Decimal, as exact as they were written. Raises BadFile."""
    try:
        found = json.loads(
            text_of(content), parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_once
        )
    except (ValueError, RecursionError) as error:
        raise BadFile(
            f"This is not JSON: {error}" if isinstance(error, json.JSONDecodeError) else str(error)
        ) from None
    rows = found.get(name) if isinstance(found, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadFile(
            f'The file must hold {{"{name}": [...]}}, a list of objects, as an export does.'
        )
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
                raise BadFile(
                    f"Line {lines.line_num} has {len(line)} cells, and {len(columns)} "
                    "columns are named."
                )
            rows.append(
                {column: cell.removeprefix("'") for column, cell in zip(columns, line, strict=True)}
            )
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


def unstorable(row: Mapping[str, Any]) -> dict[str, str]:
    """By field, why a text that JSON's escapes brought cannot be kept:
    PostgreSQL has no NUL, half of a surrogate pair is no character."""
    found: dict[str, str] = {}
    waiting: list[tuple[str, Any]] = [("", row)]
    while waiting:
        name, each = waiting.pop()
        if isinstance(each, dict):
            for key, value in each.items():
                waiting += [(within := f"{name}.{key}" if name else str(key), key), (within, value)]
        elif isinstance(each, list):
            waiting += [(name, value) for value in each]
        elif isinstance(each, str) and (problem := _problem(each)):
            found[escaped(name)] = problem
    return found


def escaped(text: str) -> str:
    """The text with what no page can show written as an escape."""
    return text if text.isprintable() else ascii(text)[1:-1][:80]


def _problem(text: str) -> str:
    if "\0" in text:
        return "Holds a NUL character, which cannot be stored."
    try:
        text.encode()
    except UnicodeEncodeError:
        return "Holds half of a surrogate pair, which is no character."
    return ""


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
