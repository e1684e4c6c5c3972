"""History of configuration rows: who changed what, when and why (django-simple-history).

Every save through Django is recorded (admin, API, command line), unless it changes nothing. Changes
by plain SQL are not recorded; the next record shows their result. Secrets are left out by name.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any, Final

from django.contrib.auth.models import AbstractBaseUser
from django.db import models
from django.db.models import QuerySet
from django.db.models.signals import pre_save
from django.utils import timezone
from simple_history.models import HistoricalRecords

INITIAL_REASON: Final = "As it was before changes were noted"
NON_SETTING_FIELDS: Final = frozenset(
    {"id", "version", "created_at", "updated_at"}
)  # not set by anybody
COMMAND_LINES: Final = ("manage.py", "tokenthrift")  # of a checkout, of the wheel
MAX_REASON_LENGTH: Final = 500
_HISTORY_BY_MODEL: "dict[type[models.Model], ConfigHistory]" = {}


def actor() -> str:
    """Return the user of the current request, an admin key by its name, or the running command."""
    user = getattr(getattr(HistoricalRecords.context, "request", None), "user", None)
    if user is not None and user.is_authenticated:
        return (
            user.get_username() if isinstance(user, AbstractBaseUser) else f"Admin key {user.name}"
        )
    program = Path(sys.argv[0]).name
    is_command = program in COMMAND_LINES and len(sys.argv) > 1
    return f"{program} {sys.argv[1]}" if is_command else ""


class Acted(models.Model):
    """Base of history records with the name of who made the change."""

    # As text: an account's name stays when the account is deleted, and an admin key has no account.
    actor = models.CharField(max_length=220, blank=True, default=actor)

    class Meta:
        abstract = True


class ConfigHistory(HistoricalRecords):  # type: ignore[misc]  # without types
    """The `history` of a model.

    `leaving_out`: fields that must never be recorded, such as secrets.
    """

    def __init__(self, *, leaving_out: tuple[str, ...] = ()) -> None:
        super().__init__(
            bases=(Acted,),
            get_user=_get_account,
            history_change_reason_field=models.TextField(null=True),
            excluded_fields=list(leaving_out),
        )

    def finalize(self, sender: type[models.Model], **kwargs: Any) -> None:
        super().finalize(sender, **kwargs)
        if sender is self.cls:
            _HISTORY_BY_MODEL[sender] = self
            pre_save.connect(self._record_before_save, sender=sender, weak=False)

    def _record_before_save(self, instance: models.Model, raw: bool = False, **_: Any) -> None:
        # A row that existed before history was recorded gets its old state recorded before the
        # change.
        if not raw and not instance._state.adding:
            self.record_initial_state(instance)

    def record_initial_state(self, instance: models.Model) -> None:
        """Record the row as stored, if it has no history yet."""
        notes = get_row_history(instance)
        row: Any = (
            None if notes.exists() else type(instance)._base_manager.filter(pk=instance.pk).first()
        )
        if row is not None:
            row._change_reason, row._history_user = INITIAL_REASON, None
            row._history_date = (
                getattr(row, "updated_at", None)
                or getattr(row, "created_at", None)
                or timezone.now()
            )
            super().create_historical_record(row, "+")
            notes.update(actor="")

    def create_historical_record(
        self, instance: Any, history_type: str, using: str | None = None
    ) -> None:
        """Record the row as stored now, unless it equals its last record."""
        row = instance
        if history_type != "-":
            # Read back: the record then has the values that triggers set, such as versions.
            row = type(instance)._base_manager.get(pk=instance.pk)
            row._change_reason = getattr(instance, "_change_reason", None)
        if history_type == "~" and self._equals_last_record(row):
            return
        super().create_historical_record(row, history_type, using=using)

    def _equals_last_record(self, row: Any) -> bool:
        last = get_row_history(row).first()
        return last is not None and get_recorded_settings(last) == get_recorded_settings(
            row, like=last
        )


def get_row_history(row: Any) -> "QuerySet[Any]":
    """Return the history records of a row, newest first."""
    notes: QuerySet[Any] = type(row).history.filter(**{row._meta.pk.attname: row.pk})
    return notes


def get_recorded_settings(row: Any, *, like: Any = None) -> dict[str, Any]:
    """Return the recorded fields by attribute name, of a record or of a row `like` that record."""
    names = [
        field.attname
        for field in (like or row).tracked_fields
        if field.name not in NON_SETTING_FIELDS
    ]
    return {name: getattr(row, name) for name in names}


def compute_row_version(row: Any) -> str:
    """Return a short digest of a stored row's or a history record's columns.

    If the model's history leaves out secrets, a row and its record have different versions.
    """
    fields = getattr(row, "tracked_fields", None) or row._meta.concrete_fields
    columns = {
        field.attname: getattr(row, field.attname)
        for field in fields
        if field.name not in NON_SETTING_FIELDS
    }
    text = json.dumps(columns, sort_keys=True, default=_format_column)
    return f"v{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _format_column(value: Any) -> str:
    return bytes(value).hex() if isinstance(value, bytes | memoryview) else str(value)


def record_initial_state(row: models.Model) -> None:
    """Record the row before a change without signals (`QuerySet.update`, bulk writes)."""
    _HISTORY_BY_MODEL[type(row)].record_initial_state(row)


def record_change(row: Any, *, reason: str | None = None) -> None:
    """Record the row after a change without signals."""
    row._change_reason = reason
    _HISTORY_BY_MODEL[type(row)].create_historical_record(row, "~")


def _get_account(instance: Any, request: Any = None, **_: Any) -> AbstractBaseUser | None:
    user = getattr(request, "user", None)
    return user if isinstance(user, AbstractBaseUser) else None
