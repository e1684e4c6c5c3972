"""Reports as CSV (RFC 4180).

One header row, UTF-8, CRLF, a decimal point, times in UTC, an empty cell for null.
"""

import csv
from collections.abc import Iterable, Iterator
from typing import Any

from django.http import StreamingHttpResponse
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer, JSONRenderer

from plans.api_errors import ApiError
from plans.untrusted_text.csv_cells import is_formula_like
from stats.reports.rows import ReportRow

TEXT_COLUMNS = ("group", "name")


class _EchoFile:
    """A file that returns what is written to it."""

    def write(self, text: str) -> str:
        return text


def iter_csv_lines(columns: list[str], rows: Iterable[ReportRow]) -> Iterator[str]:
    """Yield the header and one line per row."""
    writer = csv.writer(_EchoFile(), lineterminator="\r\n")
    yield writer.writerow(columns)
    for row in rows:
        yield writer.writerow([_escape_cell(name, row[name]) for name in columns])


def _escape_cell(name: str, value: str | int | None) -> str | int:
    """Escape a cell's text; null becomes empty."""
    if name in TEXT_COLUMNS and isinstance(value, str) and is_formula_like(value):
        # An apostrophe before a name that a spreadsheet would take for a formula
        # (owasp.org/www-community/attacks/CSV_Injection).
        return f"'{value}"
    return "" if value is None else value


def build_csv_response(
    columns: list[str], rows: Iterable[ReportRow], *, name: str
) -> StreamingHttpResponse:
    """Build a file download, sent line by line.

    `name`: letters, digits, dots, dashes and underscores.
    """
    disposition = {
        "Content-Disposition": f'attachment; filename="{name}.csv"',
        "Cache-Control": "no-store",
    }
    return StreamingHttpResponse(
        iter_csv_lines(columns, rows),
        content_type="text/csv; charset=utf-8; header=present",
        headers=disposition,
    )


class CsvRenderer(BaseRenderer):
    """Represents the choice of CSV; the views write it with `build_csv_response`."""

    media_type = "text/csv"
    format = "csv"


class FormatNegotiation(DefaultContentNegotiation):
    """Chooses by `?format=`, else by the Accept header. Raises ApiError for another format."""

    def filter_renderers(self, renderers: Any, format: str) -> Any:  # noqa: A002 -- REST framework's name
        found = [renderer for renderer in renderers if renderer.format == format]
        if not found:
            raise ApiError("Unknown format. Accepted: json, csv.", param="format")
        return found


REPORT_RENDERERS = [JSONRenderer, CsvRenderer]
