"""Marks of objects that a configuration file says: which file, applied when and by whom.

With TOKENTHRIFT_LOCK_MANAGED such objects are read-only in the admin and over the API, so that a
change is made where it lasts: in the file.
"""

import getpass
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.utils import timezone

from plans.api_errors import ManagedObjectLocked
from plans.models import ManagedMark
from plans.records import actor

MAX_PATH_LENGTH: Final = 500
BATCH_SIZE: Final = 500
_is_applying: ContextVar[bool] = ContextVar("is_applying", default=False)


@dataclass(frozen=True, slots=True)
class WrittenObject:
    """An object that a file names, and whether applying it changed the object."""

    row: models.Model
    file: str
    is_changed: bool


@contextmanager
def applying_files() -> Iterator[None]:
    """Let the caller write locked objects: it does what the files say."""
    token = _is_applying.set(True)
    try:
        yield
    finally:
        _is_applying.reset(token)


def find_mark(row: Any) -> ManagedMark | None:
    """Return the mark of an object, None if no file names it. Uses prefetched marks."""
    marks = getattr(row, "managed_marks", None)
    if marks is None or row.pk is None:
        return None
    return next(iter(marks.all()), None)


def describe_mark(mark: ManagedMark) -> str:
    """Say which file names the object, since when it is so and who applied it."""
    return (
        f"The configuration file {mark.file} says what this is "
        f"(applied {mark.applied_at:%Y-%m-%d %H:%M} UTC by {mark.applied_by})."
    )


def is_locked(row: Any) -> bool:
    """Whether people may only read the object, because a file names it."""
    return bool(settings.LOCK_MANAGED) and not _is_applying.get() and find_mark(row) is not None


def find_lock(row: Any) -> str:
    """Say why people may only read the object, "" if they may change it."""
    mark = find_mark(row) if is_locked(row) else None
    if mark is None:
        return ""
    return f"{describe_mark(mark)} It is read-only here: change it in that file and apply it."


def refuse_locked(row: Any) -> None:
    """Raise ManagedObjectLocked if people may only read the object."""
    if lock := find_lock(row):
        raise ManagedObjectLocked(lock)


def mark_objects(source: str, written: Collection[WrittenObject]) -> None:
    """Mark what the files of a source name, and release what they named before.

    Marks of unchanged objects of the same file stay as they are.
    """
    present = {_get_key(mark): mark for mark in ManagedMark.objects.iterator()}
    # A route or tenant is written twice if its default plan is written after it.
    fresh = {_get_key(mark): mark for mark in _iter_fresh_marks(source, written, present)}
    ManagedMark.objects.bulk_create(
        fresh.values(),
        batch_size=BATCH_SIZE,
        update_conflicts=True,
        unique_fields=("content_type", "object_id"),
        update_fields=("source", "file", "applied_at", "applied_by"),
    )
    named = {_get_key(each.row) for each in written}
    gone = [
        mark.pk
        for key, mark in present.items()
        if mark.source == _shorten(source) and key not in named
    ]
    ManagedMark.objects.filter(pk__in=gone).delete()


def _iter_fresh_marks(
    source: str,
    written: Collection[WrittenObject],
    present: dict[tuple[int, int], ManagedMark],
) -> Iterator[ManagedMark]:
    now, by = timezone.now(), _describe_applier()
    for each in written:
        key = _get_key(each.row)
        mark = present.get(key)
        names = (_shorten(source), _shorten(each.file))
        if mark is None or each.is_changed or (mark.source, mark.file) != names:
            yield ManagedMark(
                content_type_id=key[0],
                object_id=key[1],
                source=names[0],
                file=names[1],
                applied_at=now,
                applied_by=by,
            )


def _get_key(row: models.Model) -> tuple[int, int]:
    """Return the kind and number of an object, or of the one that a mark is of."""
    if isinstance(row, ManagedMark):
        return row.content_type_id, row.object_id
    return ContentType.objects.get_for_model(row).pk, row.pk


def _shorten(path: str) -> str:
    # The end of a path tells more than its beginning.
    return path[-MAX_PATH_LENGTH:]


def _describe_applier() -> str:
    """Name the command, or whoever is logged in, and the account of the operating system."""
    who = actor() or "the gateway"
    try:
        return f"{who}, account {getpass.getuser()}"[:220]
    except (OSError, KeyError):  # a container's number without a name
        return who
