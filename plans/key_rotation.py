"""Pause, resume and rotate virtual keys.

A rotation makes a new key and leaves the former one as its `predecessor`, whose secret works until
a moment: clients change over one after the other, and none is refused meanwhile.
"""

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from plans import key_secrets, managed_marks, records, services
from plans.api_errors import InvalidFields, KeyNotLive
from plans.models import VirtualKey

MAX_OVERLAP: Final = timedelta(days=90)
TAKEN_MESSAGE: Final = "Is the secret of another key, or was one."


def generate_secret() -> str:
    """Generate the secret of a virtual key, to be shown once."""
    return key_secrets.generate_key(key_secrets.VIRTUAL_KEY_KIND, pepper="").secret


def compute_digest(secret: str) -> str:
    """Return the digest that a secret's key is found by."""
    return key_secrets.compute_key_digest(secret, pepper=settings.KEY_PEPPER)


@transaction.atomic
def set_paused(key: VirtualKey, *, paused: bool, reason: str | None = None) -> bool:
    """Pause or resume the key with its former secrets; whether that changed anything.

    In force on every worker within two seconds. Raises KeyNotLive for a revoked key, or
    ManagedObjectLocked.
    """
    # As it is now: a key and its former secret may be paused by one click.
    row = services.lock_row(key.current)
    if not isinstance(row, VirtualKey) or row.revoked_at is not None:
        raise KeyNotLive(f"{key.current} is revoked.", param="key")
    if row.paused == paused:
        return False
    read_version = records.compute_row_version(row)
    row.paused = paused
    services.update_row(row, read_version=read_version, columns={"paused"}, reason=reason)
    return True


@transaction.atomic
def rotate_key(
    key: VirtualKey, *, overlap: timedelta, secret: str | None = None, reason: str | None = None
) -> tuple[VirtualKey, str]:
    """Give the key another secret; return the new row and its secret.

    `overlap`: how long the former secret works on; none: it is revoked. `secret`: one that a
    secret store gave, else one is generated. Raises KeyNotLive for a key that no request may use or
    that was replaced already, InvalidFields for a bad secret or overlap, VersionConflict or
    ManagedObjectLocked.
    """
    services.lock_configuration()
    managed_marks.refuse_locked(key)
    if not timedelta() <= overlap <= MAX_OVERLAP:
        raise InvalidFields({"overlap": f"Must be 0 to {MAX_OVERLAP.days} days."})
    if key.state not in {"live", "paused"} or key.successor_id is not None:
        raise KeyNotLive(f"{key} is {key.state}: only a key in use is rotated.", param="key")
    made = VirtualKey(
        tenant=key.tenant,
        name=key.name,
        routes=key.routes,
        default_plan=key.default_plan,
        expires_at=key.expires_at,
        paused=key.paused,
    )
    new_secret = _give_secret(made, secret)
    services.create_row(made, reason=reason)
    replace_key(key, made, overlap=overlap, reason=reason)
    return made, new_secret


def _give_secret(row: VirtualKey, secret: str | None) -> str:
    try:
        found = generate_secret() if secret is None else key_secrets.check_given_secret(secret)
    except ValueError as error:
        raise InvalidFields({"secret": str(error)}) from None
    row.prefix, row.digest = key_secrets.mask_key(found), compute_digest(found)
    if VirtualKey.objects.filter(digest=row.digest).exists():
        raise InvalidFields({"secret": TAKEN_MESSAGE})
    return found


def replace_key(
    former: VirtualKey, successor: VirtualKey, *, overlap: timedelta, reason: str | None = None
) -> None:
    """Let a key's secret work as one of its successor for the overlap; without one, revoke it.

    Secrets that the former key had before it become its successor's too.
    """
    for older in former.predecessors.all():
        _supersede(older, successor, until=older.expires_at, reason=reason)
    if not overlap:
        services.revoke_key(key=former)
        return
    until = timezone.now() + overlap
    if former.expires_at is not None:
        until = min(until, former.expires_at)
    _supersede(former, successor, until=until, reason=reason)


def _supersede(
    row: VirtualKey, successor: VirtualKey, *, until: datetime | None, reason: str | None
) -> None:
    read_version = records.compute_row_version(row)
    row.successor = successor
    row.expires_at = until
    # Its successor's holds, and a plan is not kept by a secret that is on its way out.
    row.default_plan = None
    services.update_row(
        row,
        read_version=read_version,
        columns={"successor", "expires_at", "default_plan"},
        reason=reason,
    )
