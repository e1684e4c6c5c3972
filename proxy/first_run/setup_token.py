"""The token that opens the first-run page to whoever reads the terminal of `manage.py serve`.

256 random bits, good once and for SETUP_TOKEN_SECONDS. Redis, which all workers share, keeps a
keyed digest of the newest; whoever can write there cannot make one. Whoever opens the page with
the token first claims it, and their session goes on with the digest, until a start makes another.
"""

import logging
import secrets
from typing import Final

from django.core.cache import cache
from django.utils.crypto import constant_time_compare, salted_hmac
from django_redis.exceptions import ConnectionInterrupted

log = logging.getLogger(__name__)
SETUP_TOKEN_SECONDS: Final = 3600
MAX_TOKEN_LENGTH: Final = 100
_DIGEST_ENTRY: Final = "first-run.digest"
_CLAIM_ENTRY: Final = "first-run.claimed"


def issue_setup_token() -> str:
    """Make a token and void the one before, with the session that claimed it."""
    token = secrets.token_urlsafe(32)
    cache.set(_DIGEST_ENTRY, _compute_digest(token), SETUP_TOKEN_SECONDS)
    return token


def claim_setup(token: str) -> str | None:
    """Use the token up and return the claim for the session; None if it is not good (any more)."""
    if len(token) > MAX_TOKEN_LENGTH:
        return None
    claim = _compute_digest(token)
    if not is_claim_valid(claim):
        return None
    # Of several that come at once, `add` succeeds for one.
    return claim if cache.add(f"{_CLAIM_ENTRY}.{claim}", 1, SETUP_TOKEN_SECONDS) else None


def is_claim_valid(claim: object) -> bool:
    """Whether the claim was made with the newest token, in time. False if Redis does not answer."""
    try:
        current = cache.get(_DIGEST_ENTRY)
    except ConnectionInterrupted:
        log.warning("the first-run page stays closed: Redis does not answer")
        return False
    return (
        isinstance(claim, str)
        and isinstance(current, str)
        and constant_time_compare(claim, current)
    )


def _compute_digest(token: str) -> str:
    return salted_hmac("tokenthrift.first_run", token, algorithm="sha256").hexdigest()
