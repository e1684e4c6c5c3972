"""Reference tables that are read off the code: settings of plans, fields of stats, the ledger."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.db import connection
from rest_framework import serializers
from rest_framework.fields import empty

from plans import fields
from plans.api.serializers import (
    CacheSerializer,
    CompressionSerializer,
    PlanChangeSerializer,
    PlanSerializer,
)
from plans.strictness import get_operating_points
from proxy.core.compression.algorithm_registry import ENGINES
from proxy.core.text.languages import LANGUAGES
from proxy.engines.registry import SEMANTIC_CACHES
from stats.api.serializers import NARROW_NOTE, USD_NOTE, PlanStatsSerializer
from stats.events import LEDGER_COLUMNS
from stats.models.requests import RequestEvent

Field = serializers.Field[Any, Any, Any, Any]

# What a text field accepts, where that is a list kept elsewhere.
ACCEPTED: Final = {
    "plan_name": "1 to 64 letters, digits, `.`, `-` or `_`, the first a letter or digit",
    "reason": "1 line",
    "compression.engine": ", ".join(f"`{name}`" for name in ENGINES),
    "compression.language": "a language of the list below",
    "cache.backend": ", ".join(f"`{name}`" for name in SEMANTIC_CACHES),
    "cache.judge_model": "the name of a route",
}
# Figures that are always the same few: one row, not one for each.
SMALL: Final = (("p50", "p99"), ("value", "low", "high"))
UNBOUNDED: Final = 2**31 - 1
# The help of the field goes on with every preset's figures.
PRESET_HELP: Final = "Settings to start from; fields of the body win. It is not stored."
# Written as code: paths, and names with an underscore or a dot.
CODE: Final = re.compile(
    r"(?<![`\w])((?:GET|POST) /[a-z/-]+|TOKENTHRIFT_[A-Z_]+"
    r"|(?:cache|compression)\.[a-z_]+|[a-z]+(?:_[a-z]+)+)(?![`\w])"
)
TYPES: Final = (
    (serializers.BooleanField, "boolean"),
    (serializers.IntegerField, "integer"),
    (serializers.FloatField, "number"),
    (serializers.ChoiceField, "text"),
    (serializers.DateTimeField, "time"),
    (serializers.DictField, "object"),
    (serializers.Field, "text"),
)


def draw_plan_settings() -> str:
    """Three tables: settings of the whole plan, of `compression` and of `cache`."""
    whole = dict(PlanSerializer().fields) | {
        name: field
        for name, field in PlanChangeSerializer().fields.items()
        if name in ("reason", "version")
    }
    top = {
        name: field
        for name, field in whole.items()
        if not field.read_only and name not in ("compression", "cache")
    }
    parts = (
        ("Whole plan", "", top),
        ("`compression`", "compression.", CompressionSerializer().fields),
        ("`cache`", "cache.", CacheSerializer().fields),
    )
    return "\n\n".join(_draw_section(title, prefix, rows) for title, prefix, rows in parts)


def _draw_section(title: str, prefix: str, rows: Any) -> str:
    lines = [
        f"## {title}",
        "",
        "| Setting | Type, accepted values | Default | What it does | Risk |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, field in rows.items():
        dotted = prefix + name
        does = PRESET_HELP if name == "preset" else str(field.help_text)
        values = (*getattr(field, "choices", ()), "true", "false", "null")
        cells = (
            f"`{dotted}`",
            _describe_values(dotted, field),
            _show_default(field),
            _mark_code(does, values),
            _mark_code(fields.RISKS[dotted], values),
        )
        lines.append(f"| {' | '.join(cells)} |")
    if prefix == "compression.":
        lines += ["", f"Languages: {', '.join(f'`{name}`' for name in LANGUAGES)}."]
    return "\n".join(lines)


def _mark_code(text: str, values: Sequence[str] = ()) -> str:
    """The text with names as code, and those of `values` that stand before what they mean."""
    named = CODE.sub(r"`\1`", text)
    meant = "|".join(map(re.escape, values))
    return re.sub(rf"(?<![`\w])({meant})(?=: )", r"`\1`", named) if values else named


def _describe_values(dotted: str, field: Field) -> str:
    kind = next(word for cls, word in TYPES if isinstance(field, cls))
    low, high = getattr(field, "min_value", None), getattr(field, "max_value", None)
    if isinstance(field, serializers.ChoiceField):
        accepted = ", ".join(f"`{name}`" for name in field.choices)
    elif low is not None and high is not None:
        top = "on" if high == UNBOUNDED else f"to {_number(high)}"
        accepted = f"from {_number(low)} {top}"
    else:
        accepted = ACCEPTED.get(dotted, "")
    either = "; or `null`" if field.allow_null else ""
    return f"{kind}{': ' if accepted else ''}{accepted}{either}"


def _show_default(field: Field) -> str:
    if field.default is empty:
        return "required" if field.required else "none"
    shown = {None: "null", True: "true", False: "false"}
    value = field.default
    if value is None or isinstance(value, bool):
        return f"`{shown[value]}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _number(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) else f"{value:,}"


def draw_operating_points() -> str:
    """One row for each name of a threshold and set of questions, then the traps written here."""
    lines = [
        "| Strictness | Score | Set | Rewordings found | Wrong of what is served | Traps served |",
        "| --- | ---: | --- | ---: | ---: | ---: |",
    ]
    for point in get_operating_points().points.values():
        name = f"`{point.name}` | {point.threshold:g}"
        lines += [
            f"| {name} | {title} | {each.recall:.3f} | {each.wrong_share:.3f} "
            f"| {each.trap_share:.3f} |"
            for title, each in point.question_sets.items()
        ]
        lines.append(f"| {name} | near traps written here | | | {point.written_trap_share:.3f} |")
    return "\n".join(lines)


def draw_stats_fields() -> str:
    """One row for each number of the reply, by its dotted name."""
    rows = [
        f"| `{name}` | {kind} | {text} |" for name, kind, text in _walk(PlanStatsSerializer(), "")
    ]
    return "\n".join(["| Field | Type | Meaning |", "| --- | --- | --- |", *rows])


def draw_ledger_columns() -> str:
    """One row for each column of a request, by its name in the table."""
    rows = []
    for column in LEDGER_COLUMNS:
        field = RequestEvent._meta.get_field(column.name)
        null = " or null" if field.null else ""
        kind = str(field.db_type(connection)).partition("(")[0]
        rows.append(f"| `{column.name}` | {kind}{null} | {column.meaning} |")
    return "\n".join(["| Column | Type | Meaning |", "| --- | --- | --- |", *rows])


def _walk(serializer: Any, prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, field in serializer.fields.items():
        dotted, text = f"{prefix}{name}", str(field.help_text or "")
        null = " or null" if field.allow_null else ""
        # Rows of a series have a table of their own.
        if name in ("series", "groups"):
            yield dotted, f"rows{null}", text
        elif isinstance(field, serializers.ListSerializer):
            yield from _walk(field.child, f"{dotted}[].")
        elif isinstance(field, serializers.Serializer):
            inner = tuple(field.fields)
            if inner in SMALL:
                yield dotted, f"`{'`, `'.join(inner)}`{null}", text
            else:
                yield from _walk(field, f"{dotted}.")
        else:
            yield dotted, *_describe_stat(field, text, null)


def _describe_stat(field: Field, text: str, null: str) -> tuple[str, str]:
    kind = next(word for cls, word in TYPES if isinstance(field, cls))
    if text.endswith(USD_NOTE):
        kind, text = "dollars", text.removesuffix(USD_NOTE).strip()
    text = text.replace(NARROW_NOTE, "Not by key, route or model.")
    return f"{kind}{null}", _mark_code(text)
