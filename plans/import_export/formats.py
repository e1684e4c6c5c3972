"""Rows to JSON and CSV files and back. Pure."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Literal

from plans.untrusted_text.csv_cells import is_formula_like

Format = Literal["json", "csv"]
FORMATS: Final[tuple[Format, ...]] = ("json", "csv")
MAX_IMPORT_ROWS: Final = 20_000
# Below Django's limit for form data: a form carries the file from the dry run to the save.
MAX_IMPORT_BYTES: Final = 2_000_000


class InvalidImportFile(ValueError):
    """The file cannot be parsed; the message says why."""


def rows_to_json(name: str, rows: Iterable[Mapping[str, Any]]) -> str:
    """Serialise rows as an object with one list under `name`."""
    return json.dumps({name: list(rows)}, indent=2, ensure_ascii=False) + "\n"


def rows_to_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Serialise rows as CSV (RFC 4180).

    None and missing columns are empty cells; true and false are in lower case.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([_format_cell(row.get(column)) for column in columns] for row in rows)
    return out.getvalue()


def _format_cell(value: Any) -> str:
    if value is None:
        return ""
    # A cell that looks like a formula gets an apostrophe in front, and so does one that begins with
    # an apostrophe: parsing removes exactly one.
    text = json.dumps(value) if isinstance(value, bool) else str(value)
    return f"'{text}" if text.startswith("'") or is_formula_like(text) else text


def parse_json_rows(name: str, content: bytes) -> list[dict[str, Any]]:
    """Parse the rows under `name`; numbers with a point become Decimal, exactly as written.

    Raises InvalidImportFile.
    """
    try:
        found = json.loads(
            decode_text(content),
            parse_float=Decimal,
            parse_constant=_reject_constant,
            object_pairs_hook=_reject_duplicate_fields,
        )
    except (ValueError, RecursionError) as error:
        raise InvalidImportFile(
            f"This is not JSON: {error}" if isinstance(error, json.JSONDecodeError) else str(error)
        ) from None
    rows = found.get(name) if isinstance(found, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InvalidImportFile(
            f'The file must hold {{"{name}": [...]}}, a list of objects, as an export does.'
        )
    return _check_row_count(rows)


def parse_csv_rows(content: bytes) -> list[dict[str, Any]]:
    """Parse rows of cells by column, empty ones as "". Raises InvalidImportFile."""
    lines = csv.reader(io.StringIO(decode_text(content), newline=""), strict=True)
    try:
        columns = next(lines, [])
        if not columns or len({*columns}) < len(columns):
            raise InvalidImportFile("The first line must name the columns, each once.")
        rows = []
        for line in lines:
            if not line:
                continue
            # A shifted row would put values under the wrong columns.
            if len(line) != len(columns):
                raise InvalidImportFile(
                    f"Line {lines.line_num} has {len(line)} cells, and {len(columns)} "
                    "columns are named."
                )
            rows.append(
                {column: cell.removeprefix("'") for column, cell in zip(columns, line, strict=True)}
            )
    except csv.Error as error:
        raise InvalidImportFile(f"This is not CSV (line {lines.line_num}): {error}") from None
    return _check_row_count(rows)


def decode_text(content: bytes) -> str:
    """Decode a file of limited size from UTF-8. Raises InvalidImportFile."""
    if len(content) > MAX_IMPORT_BYTES:
        raise InvalidImportFile(f"The file is larger than {MAX_IMPORT_BYTES:,} bytes.")
    try:
        # Spreadsheets write a byte order mark.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidImportFile("The file must be in UTF-8.") from None
    if "\0" in text:
        raise InvalidImportFile("The file has a NUL character in it.")
    return text


def find_unstorable_texts(row: Mapping[str, Any]) -> dict[str, str]:
    """Return a problem by field for each text that PostgreSQL cannot store.

    JSON escapes can bring in NUL and half of a surrogate pair.
    """
    found: dict[str, str] = {}
    waiting: list[tuple[str, Any]] = [("", row)]
    while waiting:
        name, each = waiting.pop()
        if isinstance(each, dict):
            for key, value in each.items():
                waiting += [(within := f"{name}.{key}" if name else str(key), key), (within, value)]
        elif isinstance(each, list):
            waiting += [(name, value) for value in each]
        elif isinstance(each, str) and (problem := _find_text_problem(each)):
            found[escape_unprintable(name)] = problem
    return found


def escape_unprintable(text: str) -> str:
    """Return the text; if it is unprintable, up to 80 characters of its ASCII escapes."""
    return text if text.isprintable() else ascii(text)[1:-1][:80]


def _find_text_problem(text: str) -> str:
    if "\0" in text:
        return "Holds a NUL character, which cannot be stored."
    try:
        text.encode()
    except UnicodeEncodeError:
        return "Holds half of a surrogate pair, which is no character."
    return ""


def _check_row_count(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not rows or len(rows) > MAX_IMPORT_ROWS:
        raise InvalidImportFile(
            f"The file has {len(rows):,} rows; 1 to {MAX_IMPORT_ROWS:,} can be taken at once."
        )
    return rows


def _reject_constant(word: str) -> Any:
    raise InvalidImportFile(f"{word} is no number that JSON knows.")


def _reject_duplicate_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InvalidImportFile("An object of the file names a field twice.")
    return found
