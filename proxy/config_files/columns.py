"""Set a row's columns from values, and tell what that changes."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import models

from proxy.config_files.changes import FieldDifference
from proxy.config_files.fields import FileField


def set_columns(row: models.Model, columns: Mapping[str, Any]) -> list[FieldDifference]:
    """Set columns of an unsaved copy of a row; return those whose value was another."""
    differences = []
    for name, value in columns.items():
        before = getattr(row, name, None) if not _is_unset_relation(row, name) else None
        if before != value:
            differences.append(FieldDifference(name, format_value(before), format_value(value)))
            setattr(row, name, value)
    return differences


def fill_columns(
    model: type[models.Model], values: Mapping[str, Any], fields: Mapping[str, FileField]
) -> dict[str, Any]:
    """Return a value for each plain column: the one that is given, or its default."""
    return {
        field.column: values.get(name, get_default(model, field))
        for name, field in fields.items()
        if field.column
    }


def get_default(model: type[models.Model], field: FileField) -> Any:
    """Return the default of a field's column."""
    return model._meta.get_field(field.column).get_default()  # type: ignore[union-attr]  # columns are no relations


def format_value(value: Any) -> Any:
    """Return a column's value as JSON has it."""
    if isinstance(value, models.Model):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else value


def _is_unset_relation(row: models.Model, name: str) -> bool:
    field = row._meta.get_field(name)
    return field.is_relation and getattr(row, getattr(field, "attname", name), None) is None
