"""API keys: generation, format check, digest, masking. Pure apart from the random source.

A key is `<kind>-<43 base64url characters>`: 256 random bits (RFC 4648 section 5, no padding). It is
shown once; stored are its HMAC-SHA256 under a pepper that is not in the database, and a short
visible prefix.

A key made elsewhere may be honoured too, of which only the SHA-256 is known, as other gateways
store it. Its digest is the HMAC of that SHA-256: whoever reads either database gets no key.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

KeyKind = Literal["tt", "tta", "ttp"]
VIRTUAL_KEY_KIND: KeyKind = "tt"
ADMIN_KEY_KIND: KeyKind = "tta"
PERSONAL_KEY_KIND: KeyKind = "ttp"
# Of a key that a secret store gave: of 43 random characters nearly all have more.
MIN_DISTINCT_CHARACTERS: Final = 16
_KEY_PATTERN = re.compile(r"(tt[ap]?)-[A-Za-z0-9_-]{43}")
_SHA256_PATTERN = re.compile(r"[0-9a-f]{64}")
# Of a key made elsewhere; a stranger decides how much is hashed.
MAX_FOREIGN_KEY_LENGTH: Final = 512
FOREIGN_KEY_PREFIX: Final = "imported-"


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


def check_given_secret(secret: str) -> str:
    """Return a virtual key's secret that somebody chose, if it is strong. Raises ValueError."""
    if not is_well_formed(secret, VIRTUAL_KEY_KIND) or len(set(secret)) < MIN_DISTINCT_CHARACTERS:
        raise ValueError("Must be tt- and 43 random characters, as `manage.py new_secret` prints.")
    return secret


# Keys in use are memoized, so the process holds them in memory.
@lru_cache(maxsize=4096)
def compute_key_digest(secret: str, *, pepper: str) -> str:
    """Return the key's HMAC-SHA256 (RFC 2104) in hex, 64 characters."""
    return hmac.digest(pepper.encode(), secret.encode(), "sha256").hex()


def is_sha256(text: str) -> bool:
    """Whether the text is a SHA-256 in hex, in lower case."""
    return _SHA256_PATTERN.fullmatch(text) is not None


def compute_foreign_key_digest(sha256: str, *, pepper: str) -> str:
    """Return the digest under which a key made elsewhere is stored, from the SHA-256 of the key."""
    # The colon is in no key of ours, so no text has a digest of both kinds.
    return hmac.digest(pepper.encode(), f"sha256:{sha256}".encode(), "sha256").hex()


def compute_client_digest(secret: str, *, pepper: str) -> str | None:
    """Return the digest under which a client's key would be stored; None if it can be none."""
    if is_well_formed(secret, VIRTUAL_KEY_KIND):
        return compute_key_digest(secret, pepper=pepper)
    if len(secret) > MAX_FOREIGN_KEY_LENGTH or _KEY_PATTERN.fullmatch(secret):
        return None  # of the management API
    # Always hashed, never compared as it is: the SHA-256 itself, read from a database, is no key.
    sha256 = hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
    return compute_foreign_key_digest(sha256, pepper=pepper)


def mask_foreign_key(digest: str) -> str:
    """Return the visible prefix of a key made elsewhere, from its digest."""
    # Of the digest under the pepper: a part of the SHA-256 would confirm guesses of a weak key.
    return f"{FOREIGN_KEY_PREFIX}{digest[:6]}"


def mask_key(secret: str) -> str:
    """Return the visible prefix that tells keys apart: the kind and six characters."""
    kind, _, rest = secret.partition("-")
    return f"{kind}-{rest[:6]}"
