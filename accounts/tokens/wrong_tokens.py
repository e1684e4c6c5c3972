"""Count wrong tokens, so that whoever keeps sending them is refused before any look-up.

Two limits within WINDOW_SECONDS: a wrong token from one address, and all wrong tokens from it. A
guess has one chance in 2^256; this spares the database and names the caller in the log. Without
Redis nothing is counted.
"""

import logging
from hashlib import sha256
from typing import Final

from django.core.cache import cache
from redis import RedisError

MAX_REPEATS: Final = 50  # of one wrong token
MAX_WRONG_TOKENS: Final = 500  # of an address
WINDOW_SECONDS: Final = 900
log = logging.getLogger(__name__)


def is_refused(secret: str, address: str) -> bool:
    """Whether this token is to be refused unread."""
    try:
        counts: dict[str, int] = cache.get_many(_build_keys(secret, address))
    except (RedisError, OSError):
        return False
    one, all_of_address = _build_keys(secret, address)
    return counts.get(one, 0) >= MAX_REPEATS or counts.get(all_of_address, 0) >= MAX_WRONG_TOKENS


def count_wrong_token(secret: str, address: str) -> None:
    """Count a token that was found to be wrong."""
    for key, limit in zip(
        _build_keys(secret, address), (MAX_REPEATS, MAX_WRONG_TOKENS), strict=True
    ):
        try:
            cache.add(key, 0, WINDOW_SECONDS)
            reached = cache.incr(key)
        except (RedisError, OSError, ValueError):  # ValueError: it ended between the two
            continue
        if reached == limit:
            log.warning("wrong API tokens from %s: refused for a while (%d)", address, limit)


def _build_keys(secret: str, address: str) -> tuple[str, str]:
    digest = sha256(secret.encode("utf-8", "replace")).hexdigest()[:32]
    return f"wrong-token-{address}-{digest}", f"wrong-tokens-{address}"
