"""API keys: generation, format check, digest, masking. Pure apart from the random source.

A key is `<kind>-<43 base64url characters>`: 256 random bits (RFC 4648 section 5, no padding). It is
shown once; stored are its HMAC-SHA256 under a pepper that is not in the database, and a short
visible prefix.
"""

import hmac
import re
import secrets
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

KeyKind = Literal["tt", "tta", "ttp"]
VIRTUAL_KEY_KIND: KeyKind = "tt"
ADMIN_KEY_KIND: KeyKind = "tta"
PERSONAL_KEY_KIND: KeyKind = "ttp"
_KEY_PATTERN = re.compile(r"(tt[ap]?)-[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A new key; `secret` is shown once and never stored."""

    secret: str
    prefix: str
    digest: str

    def __repr__(self) -> str:
        return f"NewKey({self.prefix}...)"


def generate_key(kind: KeyKind, *, pepper: str) -> NewKey:
    """Generate a random key."""
    secret = f"{kind}-{secrets.token_urlsafe(32)}"
    return NewKey(secret, mask_key(secret), compute_key_digest(secret, pepper=pepper))


def is_well_formed(secret: str, kind: KeyKind) -> bool:
    """Whether the text has the format of a key of that kind."""
    match = _KEY_PATTERN.fullmatch(secret)
    return match is not None and match[1] == kind


# Keys in use are memoized, so the process holds them in memory.
@lru_cache(maxsize=4096)
def compute_key_digest(secret: str, *, pepper: str) -> str:
    """Return the key's HMAC-SHA256 (RFC 2104) in hex, 64 characters."""
    return hmac.digest(pepper.encode(), secret.encode(), "sha256").hex()


def mask_key(secret: str) -> str:
    """Return the visible prefix that tells keys apart: the kind and six characters."""
    kind, _, rest = secret.partition("-")
    return f"{kind}-{rest[:6]}"
