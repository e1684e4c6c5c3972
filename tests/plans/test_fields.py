"""The table of a plan's settings, and every place that has them: none forgets a row."""

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest

from plans import change_risks, presets, validation
from plans.api.serializers import (
    CacheSerializer,
    CompressionSerializer,
    PlanSerializer,
    build_setting_field,
)
from plans.fields import (
    FORM_SECTIONS,
    PLAN_SETTINGS,
    SETTINGS_BY_COLUMN,
    SETTINGS_IN_REPLAY_ORDER,
    SETTINGS_IN_RISK_ORDER,
    ChangeRisk,
    PlanHalf,
    PlanSetting,
    list_settings,
)
from plans.forms.model_forms import PlanForm
from plans.import_export.resources import PlanResource
from plans.models import Plan
from plans.records import NON_SETTING_FIELDS
from plans.snapshot import CacheSettings, CompressionSettings, PlanSnapshot
from plans.validation import PlanDraft

ROOT = Path(__file__).resolve().parents[2]
HALVES: list[tuple[PlanHalf, Any]] = [
    ("", PlanSnapshot),
    ("", PlanDraft),
    ("compression", CompressionSettings),
    ("cache", CacheSettings),
]
# What a plan is called by, whose it is, and what the gateway says of it.
NO_SETTINGS = {"id", "name", "version", "tenant_id", "compression", "cache"}
KIND_OF_TYPE = {int: "whole", float: "number", bool: "flag", str: "name"}


def read_type(hint: Any) -> tuple[str, tuple[Any, ...], bool]:
    """The kind of a typed attribute, its choices, and whether it may be None."""
    parts = get_args(hint) if get_origin(hint) in {UnionType, Union} else (hint,)
    (kind,) = (each for each in parts if each is not type(None))
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    return "choice" if choices else KIND_OF_TYPE[kind], choices, type(None) in parts


@pytest.mark.parametrize(("half", "shape"), HALVES)
def test_what_requests_read_has_each_setting_as_the_table_says(half: PlanHalf, shape: Any) -> None:
    assert is_dataclass(shape)
    hints, rows = get_type_hints(shape), {each.name: each for each in list_settings(half)}
    own = {each.name: each for each in fields(shape) if half or each.name not in NO_SETTINGS}
    assert own.keys() == rows.keys()
    for name, row in rows.items():
        assert read_type(hints[name]) == (row.kind, tuple(row.choices), row.nullable), name
    # What must be given has no default of its own.
    given = {"engine", "max_input_tokens"} if half == "compression" else set()
    given |= {"mode"} if shape is PlanDraft else set()
    assert {name: each.default for name, each in own.items() if name not in given} == {
        name: row.default for name, row in rows.items() if name not in given
    }


def test_the_table_in_the_database_has_a_column_for_each_setting() -> None:
    columns = {each.name for each in Plan._meta.concrete_fields}
    assert columns - NON_SETTING_FIELDS - {"tenant", "name"} == set(SETTINGS_BY_COLUMN)


def test_columns_hold_what_the_table_allows_and_refuse_the_rest() -> None:
    bounded = 0
    for row in PLAN_SETTINGS:
        column: Any = Plan._meta.get_field(row.column)
        assert column.null == (row.nullable or row.column == "compression_engine"), row.column
        if row.column != "compression_engine":  # off by default in the database
            assert column.get_default() == row.default, row.column
        assert dict(column.choices or ()) == row.choices
        for value in (row.low, row.high) if row.kind in {"whole", "number"} else row.choices:
            assert column.clean(value, None) == value
        if column.validators and row.kind == "number":
            bounded += 1
            for value in (row.low - 0.1, row.high + 0.1):
                with pytest.raises(Exception, match="Ensure this value"):
                    column.clean(value, None)
    assert bounded == 6


def test_the_form_shows_each_setting_in_one_place_of_its_half() -> None:
    shown = [(section.plan_section, name) for section in FORM_SECTIONS for name in section.fields]
    rows = [(each.half, each.column) for each in PLAN_SETTINGS if each.column != "mode"]
    assert sorted(shown) == sorted([*rows, ("cache", "force")])
    assert set(SETTINGS_BY_COLUMN) | {"name", "tenant"} == set(PlanForm.Meta.fields) - {"force"}
    assert all(each.label for each in PLAN_SETTINGS)
    assert all(each.danger and each.description for each in PLAN_SETTINGS if each.name)


@pytest.mark.django_db
def test_a_form_says_of_each_setting_what_the_table_says() -> None:
    form = PlanForm()
    for row in PLAN_SETTINGS:
        field = form.fields[row.column]
        assert (field.label, field.help_text) == (row.label, row.help), row.column
        assert field.widget.attrs.get("data-needs", "") == row.needs


def test_needs_name_columns_and_their_values() -> None:
    for row in PLAN_SETTINGS:
        for need in row.needs.split():
            column, _, value = need.partition("=")
            other = SETTINGS_BY_COLUMN[column]
            assert not value or other.kind == "name" or value in other.choices, row.needs


def test_the_document_has_each_setting() -> None:
    shown: tuple[tuple[PlanHalf, Any], ...] = (
        ("compression", CompressionSerializer()),
        ("cache", CacheSerializer()),
        ("", PlanSerializer()),
    )
    for half, serializer in shown:
        missing = {each.name for each in list_settings(half)} - serializer.fields.keys()
        assert missing == set()


def test_a_file_has_a_column_for_each_setting() -> None:
    halves = {"compression", "cache"}
    params = {each.param for each in PLAN_SETTINGS} | halves
    assert set(PlanResource.columns) == params | {"plan_name", "tenant", "version"}


def test_presets_name_settings_and_values_that_the_rules_take() -> None:
    for preset in presets.PRESETS.values():
        for half, settings in (("compression", preset.compression), ("cache", preset.cache)):
            rows = {each.name: each for each in PLAN_SETTINGS if each.half == half}
            for name, value in (settings or {}).items():
                if rows[name].kind != "name":
                    assert validation.make_setting_check(rows[name])(value) == value


def test_defaults_pass_the_rules() -> None:
    for row in PLAN_SETTINGS:
        if row.kind != "name":
            assert validation.make_setting_check(row)(row.default) == row.default, row.param


def test_a_replay_reads_what_it_says_it_can_tell() -> None:
    """A setting of the cache without words for it is one that the replay works with."""
    replay = "".join(
        (ROOT / path).read_text("utf-8")
        for path in ("proxy/core/replay.py", "proxy/replay/service.py")
    )
    read = set(re.findall(r"\.([a-z_]+)\b", replay))
    if "threshold" in read:  # that of both (`CacheSettings.threshold`)
        read |= {"similarity_threshold", "strictness"}
    untold = {each.name for each in list_settings("cache") if not each.unreplayed}
    assert untold <= read, untold - read
    assert all(each.unreplayed for each in list_settings("compression"))
    assert sorted(SETTINGS_IN_REPLAY_ORDER, key=id) == sorted(PLAN_SETTINGS, key=id)


def test_a_risk_is_told_where_a_value_rises_falls_or_changes() -> None:
    assert sorted(SETTINGS_IN_RISK_ORDER, key=id) == sorted(PLAN_SETTINGS, key=id)
    base = PlanDraft(
        name="a",
        mode="active",
        compression=validation.DEFAULT_COMPRESSION,
        cache=validation.DEFAULT_CACHE,
    )
    assert change_risks.list_change_risks(base, base) == []
    made_up = PlanSetting(
        half="cache",
        name="ttl",
        kind="choice",
        default="b",
        choices=dict.fromkeys("abc", ""),
        label="x",
        danger="",
        risks=(ChangeRisk("raised", "Up."), ChangeRisk("lowered", "Down.")),
        unreplayed="",
    )
    told = {
        (old, new): [
            risk.text
            for risk in made_up.risks
            if change_risks.is_risky_change(risk.change, made_up, old, new)
        ]
        for old, new in (("a", "b"), ("c", "a"), ("b", "b"), ("a", None), (None, "c"))
    }
    assert told == {
        ("a", "b"): ["Up."],
        ("c", "a"): ["Down."],
        ("b", "b"): [],
        ("a", None): ["Up."],
        (None, "c"): ["Down."],
    }


def test_every_kind_of_setting_is_in_the_document() -> None:
    kinds = {type(build_setting_field(each)).__name__ for each in PLAN_SETTINGS}
    assert kinds == {"IntegerField", "FloatField", "BooleanField", "ChoiceField", "CharField"}
