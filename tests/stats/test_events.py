"""The table of the ledger's columns, and every place that has them: none forgets a column."""

import ast
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from django.db.models import F

from proxy.pipeline import ledger_records
from stats.dashboard import request_detail
from stats.dashboard.request_detail import build_record_sections
from stats.events import LATER_COLUMNS, LEDGER_COLUMNS, Event
from stats.ledger import inserts, rollup
from stats.models.requests import RequestEvent
from stats.models.rollups import Rollup
from stats.reports.totals import TOTAL_EXPRESSIONS
from tests.support.events import make_event

NAMES = [each.name for each in LEDGER_COLUMNS]
# Of a roll-up's column: what it counts is not a column of the ledger.
COUNTS = {
    "requests", "called", "stale", "streamed", "compressed", "priced", "estimated",
    "bill_unknown", "would_exact", "would_semantic",
}  # fmt: skip
TYPES = {
    str: {"text"},
    bool: {"flag"},
    int: {"count"},
    float: {"milliseconds", "score", "time"},
    Decimal: {"dollars"},
    tuple: {"other"},
    dict: {"other"},
}
COLUMN_TYPES = {
    "text": {"CharField", "UUIDField"},
    "flag": {"BooleanField"},
    "count": {
        "BigIntegerField", "PositiveBigIntegerField", "PositiveIntegerField",
        "PositiveSmallIntegerField",
    },
    "milliseconds": {"FloatField"},
    "score": {"FloatField"},
    "time": {"DateTimeField"},
    "dollars": {"DecimalField"},
    "other": {"JSONField"},
}  # fmt: skip


def test_an_event_has_each_column_of_its_kind() -> None:
    hints = get_type_hints(Event)
    assert set(hints) == set(NAMES) - LATER_COLUMNS
    for column in LEDGER_COLUMNS:
        if column.name not in LATER_COLUMNS:
            hint = hints[column.name]
            parts = get_args(hint) if isinstance(hint, UnionType) else (hint,)
            (kind,) = (each for each in parts if each is not type(None))
            kind = get_origin(kind) or kind
            assert column.kind in TYPES.get(kind, {"text"}), column.name


def test_a_call_says_what_each_column_is() -> None:
    """A forgotten one would keep its default, silently."""
    tree = ast.parse(Path(ledger_records.__file__).read_text("utf-8"))
    (made,) = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Event"
    )
    assert {each.arg for each in made.keywords} == {each.name for each in fields(Event)}


def test_the_database_has_each_column_of_its_kind_and_default() -> None:
    columns = {each.name: each for each in RequestEvent._meta.concrete_fields}
    assert columns.keys() == set(NAMES)
    assert len(NAMES) == len(set(NAMES))
    kinds = {each.name: each.kind for each in LEDGER_COLUMNS}
    for name, column in columns.items():
        assert type(column).__name__ in COLUMN_TYPES[kinds[name]], name
    for own in fields(Event):
        default = own.default if own.default_factory is MISSING else own.default_factory()
        column = columns[own.name]
        if default is MISSING or not column.has_default():
            continue
        wanted: Any = list(default) if isinstance(default, tuple) else default
        assert column.get_default() == wanted, own.name


def test_a_line_and_the_statement_that_inserts_it_have_each_column() -> None:
    statement = inserts.INSERT_EVENTS_SQL.decode()
    assert [name for name in NAMES if f'"{name}"' not in statement] == []


def test_a_page_shows_each_column_that_has_a_section() -> None:
    shown = dict(build_record_sections(RequestEvent(**_full_row())))
    for column in LEDGER_COLUMNS:
        if column.section and column.label:
            assert column.label in {fact.name for fact in shown[column.section]}, column.name
    known = {each.name for each in LEDGER_COLUMNS if each.section}
    assert request_detail._DESCRIPTIONS.keys() <= known
    assert all(
        each.kind in request_detail._FORMATTERS or each.name in request_detail._DESCRIPTIONS
        for each in LEDGER_COLUMNS
        if each.label
    )
    assert all(each.meaning for each in LEDGER_COLUMNS)


def test_an_empty_page_leaves_out_what_is_optional() -> None:
    row = RequestEvent(at=_full_row()["at"], status=200, outcome="ok", tier="miss")
    shown = {fact.name for _, facts in build_record_sections(row) for fact in facts}
    optional = {each.label for each in LEDGER_COLUMNS if each.is_optional}
    assert shown & optional == set()
    assert {each.label for each in LEDGER_COLUMNS if each.label} - optional <= shown


def test_what_is_summed_has_a_sum_in_the_roll_ups_and_in_the_totals() -> None:
    summed = {each.name for each in LEDGER_COLUMNS if each.summed}
    columns = {each.name for each in Rollup._meta.concrete_fields}
    assert summed | COUNTS == set(rollup.SUM_EXPRESSIONS)
    assert summed <= columns
    parts: list[Any] = [
        part for expression in TOTAL_EXPRESSIONS.values() for part in expression.flatten()
    ]
    read = {vars(part)["name"] for part in parts if isinstance(part, F)}
    assert summed - read == set()


def _full_row() -> dict[str, Any]:
    event = make_event()
    values = {each.name: getattr(event, each.name) for each in fields(Event)}
    texts = {each.name: "x" for each in LEDGER_COLUMNS if each.kind == "text"}
    flags = {each.name: True for each in LEDGER_COLUMNS if each.kind == "flag"}
    at = datetime.fromtimestamp(event.at, UTC)
    return values | texts | flags | {"at": at, "event_id": event.event_id, "failures": []}
