"""Delete rows of the configuration, unless something refers to them."""

from typing import Any, Final

from django.db import transaction
from django.db.models import ProtectedError, RestrictedError

from plans import managed_marks, services
from plans.api_errors import ObjectInUse

MAX_HOLDERS_NAMED: Final = 5


@transaction.atomic
def delete_row(row: Any, *, reason: str | None = None) -> None:
    """Delete the row. Raises ObjectInUse, naming what refers to it, or ManagedObjectLocked."""
    managed_marks.refuse_locked(row)
    services.lock_configuration()  # nobody begins to refer to it from here on
    row._change_reason = reason
    try:
        row.delete()
    except (ProtectedError, RestrictedError) as error:
        raise ObjectInUse(describe_holders(error)) from None


def describe_holders(error: ProtectedError | RestrictedError) -> str:
    """Name the rows that keep others from being deleted."""
    held = (
        error.protected_objects if isinstance(error, ProtectedError) else error.restricted_objects
    )
    return describe_users([f"{row._meta.verbose_name} {row}" for row in held])


def describe_users(names: list[str]) -> str:
    """Say what uses an object, a few by name."""
    shown, more = sorted(names)[:MAX_HOLDERS_NAMED], len(names) - MAX_HOLDERS_NAMED
    return f"It is used by {', '.join(shown)}{f' and {more} more' if more > 0 else ''}."
