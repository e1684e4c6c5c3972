"""Set up, check and remove the second factor of an account."""

import logging
import time
from datetime import timedelta

import pyotp
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from accounts.models import Identity, SecondFactor
from accounts.second_factor import codes
from proxy.upstreams import encryption

log = logging.getLogger(__name__)


class TooManyCodes(Exception):
    """So many wrong codes came that the next one has to wait."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Too many wrong codes: try again in {max(seconds, 1)} seconds.")
        self.seconds = seconds


def has_second_factor(user: User) -> bool:
    return SecondFactor.objects.filter(user=user, confirmed_at__isnull=False).exists()


def needs_set_up(user: User) -> bool:
    """Whether the settings want a second factor that this account has not set up."""
    return bool(settings.REQUIRE_SECOND_FACTOR and user.is_staff and not has_second_factor(user))


def may_have_one(user: User) -> bool:
    """Whether the account logs in here; an identity provider asks for its own second factor."""
    return user.has_usable_password() and not Identity.objects.filter(user=user).exists()


def begin_set_up(user: User) -> SecondFactor:
    """Return the account's unconfirmed second factor, made if there is none."""
    fresh = {"sealed_secret": encryption.encrypt(pyotp.random_base32())}
    device, _ = SecondFactor.objects.get_or_create(user=user, defaults=fresh)
    try:
        read_secret(device)
    except encryption.DecryptionFailed:  # begun under a key that is gone
        device.sealed_secret = fresh["sealed_secret"]
        device.save(update_fields=["sealed_secret"])
    return device


def build_uri(device: SecondFactor) -> str:
    """Return what the QR code holds (otpauth://), with the secret in it."""
    return pyotp.TOTP(read_secret(device)).provisioning_uri(
        name=device.user.get_username(), issuer_name="Tokenthrift"
    )


def read_secret(device: SecondFactor) -> str:
    """Return the secret in base 32. Raises encryption.DecryptionFailed."""
    return encryption.decrypt(device.sealed_secret)


def confirm(user: User, typed: str) -> list[str] | None:
    """Confirm the second factor by its first code; return recovery codes, None for a wrong code.

    Raises TooManyCodes.
    """
    with transaction.atomic():
        device = _lock(user)
        if device is None or device.confirmed_at is not None or not _accept(device, typed):
            return None
        recovery = codes.make_recovery_codes()
        device.confirmed_at = timezone.now()
        device.recovery_digests = [
            codes.compute_recovery_digest(code, pepper=settings.KEY_PEPPER) for code in recovery
        ]
        device.save()
    log.info("second factor set up: %s", user)
    return recovery


def check_code(user: User, typed: str) -> bool:
    """Whether this is a code of the account's app, or a recovery code, that was not used before.

    Raises TooManyCodes.
    """
    with transaction.atomic():
        device = _lock(user)
        if device is None or device.confirmed_at is None:
            return False
        return _accept(device, typed, recovery=True)


def remove(user: User) -> bool:
    """Remove the account's second factor; whether it had one."""
    removed = SecondFactor.objects.filter(user=user).delete()[0] > 0
    if removed:
        log.info("second factor removed: %s", user)
    return removed


def rotate_encryption_keys() -> int:
    """Re-encrypt all secrets under the first encryption key; return how many.

    Raises encryption.DecryptionFailed, naming the people whose secrets cannot be decrypted.
    """
    devices = list(SecondFactor.objects.select_for_update(of=("self",)).select_related("user"))
    broken = []
    for device in devices:
        try:
            device.sealed_secret = encryption.reencrypt(device.sealed_secret)
        except encryption.DecryptionFailed:
            broken.append(str(device.user))
    if broken:
        raise encryption.DecryptionFailed(
            "no key in TOKENTHRIFT_ENCRYPTION_KEYS opens the second factor of: "
            f"{', '.join(broken)} (manage.py remove_second_factor)"
        )
    if devices:
        SecondFactor.objects.bulk_update(devices, ["sealed_secret"])
    return len(devices)


def _lock(user: User) -> SecondFactor | None:
    """Lock the row: of two requests with one code the second finds it used."""
    return SecondFactor.objects.select_for_update().filter(user=user).first()


def _accept(device: SecondFactor, typed: str, *, recovery: bool = False) -> bool:
    """Whether the code is right; used codes and failures are noted. Raises TooManyCodes."""
    _check_wait(device)
    accepted = len(typed) <= codes.MAX_TYPED_LENGTH and (
        _use_step(device, typed) or (recovery and _use_recovery_code(device, typed))
    )
    device.failures = 0 if accepted else device.failures + 1
    device.failed_at = None if accepted else timezone.now()
    device.save()
    return accepted


def _check_wait(device: SecondFactor) -> None:
    if device.failed_at is None:
        return
    until = device.failed_at + timedelta(seconds=codes.compute_wait(device.failures))
    left = (until - timezone.now()).total_seconds()
    if left > 0:
        raise TooManyCodes(round(left))


def _use_step(device: SecondFactor, typed: str) -> bool:
    try:
        secret = read_secret(device)
    except encryption.DecryptionFailed:
        log.error(
            "no key in TOKENTHRIFT_ENCRYPTION_KEYS opens the second factor of %s", device.user
        )
        return False  # recovery codes work all the same
    step = codes.find_step(secret, typed, now=time.time(), last_step=device.last_step)
    if step is not None:
        device.last_step = step
    return step is not None


def _use_recovery_code(device: SecondFactor, typed: str) -> bool:
    used = codes.find_recovery_digest(typed, device.recovery_digests, pepper=settings.KEY_PEPPER)
    if used is None:
        return False
    device.recovery_digests = [each for each in device.recovery_digests if each != used]
    log.warning("recovery code used: %s, %d left", device.user, len(device.recovery_digests))
    return True
