"""Which cells a spreadsheet would take for a formula, in both exports alike."""

import pytest

from plans.import_export import formats
from plans.untrusted_text.csv_cells import is_formula_like
from stats.reports.csv_export import _escape_cell

RISKY = [
    *(
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "\tx",
        "  =1+1",
        "\u3000=1+1",
        "\u00a0@x",
        "\uff1d1+1",
        " \uff0b1",
    ),
    *(
        "\uff0d1",
        "\uff20x",
        "\ufeff=1",
        "\u200b=1",
        " \u200b \ufeff =1",
        "\ufe661",
        "\ufe621",
        "\ufe63x",
        "\ufe6bx",
        "\u22121",
    ),
]
PLAIN = ["", " ", "a=1", "gpt-4o", "1", "0.5", "smart/balanced", "a\tb", "\u200b", "(-1)", "#1"]


@pytest.mark.parametrize("text", RISKY)
def test_a_formula_is_guarded_by_both_exports(text: str) -> None:
    assert is_formula_like(text)
    assert formats._format_cell(text) == f"'{text}"
    assert _escape_cell("name", text) == f"'{text}"


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert formats._format_cell(text) == text
    assert _escape_cell("name", text) == text


@pytest.mark.parametrize("text", [*RISKY, *PLAIN, "'quoted", "''twice"])
def test_reading_takes_away_what_writing_added(text: str) -> None:
    written = formats.rows_to_csv(["name", "x"], [{"name": text, "x": "1"}])
    assert formats.parse_csv_rows(written.encode()) == [{"name": text, "x": "1"}]
