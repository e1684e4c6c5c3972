"""Differences between two rows' settings, in the wording of their form."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.db import models

from plans.records import NON_SETTING_FIELDS

EMPTY_TEXT = "empty"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One changed field with both values as displayed."""

    field: str
    label: str
    before: str
    after: str


def list_field_changes(
    model: type[models.Model], fields: Mapping[str, forms.Field], before: Any, after: Any
) -> list[FieldChange]:
    """List what differs between two rows of the model, or their history records.

    `fields`: the form's fields by name.
    """
    found = []
    for column in model._meta.concrete_fields:
        name = column.name
        old, new = (getattr(row, column.attname, None) for row in (before, after))
        if name in NON_SETTING_FIELDS or old == new or not hasattr(after, column.attname):
            continue
        label = str((fields[name].label if name in fields else None) or column.verbose_name)
        found.append(
            FieldChange(
                name,
                label[:1].upper() + label[1:],
                format_setting(column, fields.get(name), old),
                format_setting(column, fields.get(name), new),
            )
        )
    return found


def format_setting(column: Any, field: forms.Field | None, value: Any) -> str:
    """Format one setting for display."""
    if isinstance(column, models.ForeignKey) and value is not None:
        related = column.related_model._base_manager.filter(pk=value).first()
        return str(related) if related else f"number {value}, deleted since"
    if isinstance(value, bool):
        return "yes" if value else "no"
    choices: dict[Any, Any] = dict(
        column.flatchoices
        or (getattr(field, "choices", None) if isinstance(field, forms.ChoiceField) else None)
        or ()
    )
    key = "" if value is None else value
    if isinstance(key, str) and key in choices:
        return str(choices[key]).partition(":")[0]
    return _format_plain_value(value)


def _format_plain_value(value: Any) -> str:
    if value is None or value in ("", []):
        return EMPTY_TEXT
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return (
        f"{value.normalize():f}"
        if isinstance(value, Decimal)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )
