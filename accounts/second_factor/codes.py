"""Codes of authenticator apps and recovery codes. Pure apart from the random source."""

import hmac
import secrets
from collections.abc import Sequence
from typing import Final

import pyotp

STEP_SECONDS: Final = 30  # RFC 6238's default, and all that most apps know
MAX_STEPS_APART: Final = 1  # between the clocks of the app and of the gateway
RECOVERY_CODES: Final = 10
# Without letters and digits that are easily taken for each other.
RECOVERY_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
RECOVERY_LENGTH: Final = 16  # 79 bits
MAX_TYPED_LENGTH: Final = 64
FREE_FAILURES: Final = 5
FIRST_WAIT_SECONDS: Final = 30
MAX_WAIT_SECONDS: Final = 3600


def find_step(secret: str, typed: str, *, now: float, last_step: int) -> int | None:
    """Return the time step that the code is of; None for a wrong code, and for one used before."""
    code, current = "".join(typed.split()), int(now) // STEP_SECONDS
    if not (code.isascii() and code.isdigit()):
        return None
    generator = pyotp.TOTP(secret)
    matching = [
        step
        for step in range(current - MAX_STEPS_APART, current + MAX_STEPS_APART + 1)
        if hmac.compare_digest(generator.generate_otp(step), code)
    ]
    return next((step for step in matching if step > last_step), None)


def make_recovery_codes() -> list[str]:
    """Make new recovery codes, in groups of four characters."""
    return [
        "-".join(
            "".join(secrets.choice(RECOVERY_ALPHABET) for _ in range(4))
            for _ in range(RECOVERY_LENGTH // 4)
        )
        for _ in range(RECOVERY_CODES)
    ]


def compute_recovery_digest(code: str, *, pepper: str) -> str:
    """Return the HMAC-SHA256 of a recovery code, however it was typed."""
    letters = "".join(each for each in code.lower() if each.isalnum())
    return hmac.digest(pepper.encode(), f"recovery code {letters}".encode(), "sha256").hex()


def find_recovery_digest(typed: str, digests: Sequence[str], *, pepper: str) -> str | None:
    """Return the stored digest that the typed code has."""
    digest = compute_recovery_digest(typed, pepper=pepper)
    return next((each for each in digests if hmac.compare_digest(each, digest)), None)


def compute_wait(failures: int) -> int:
    """Return the seconds to wait after so many wrong codes in a row.

    An account's code is guessed with a chance of three in a million a try: with an hour between
    tries, once in decades.
    """
    if failures < FREE_FAILURES:
        return 0
    doubled: int = FIRST_WAIT_SECONDS * 2 ** min(failures - FREE_FAILURES, 10)
    return min(doubled, MAX_WAIT_SECONDS)
