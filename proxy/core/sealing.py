"""Seal, and optionally encrypt, values stored outside the process and trusted when read back.

value = seal (16 bytes), `P`, body                                                   sealed
        seal (16 bytes), `E`, id of the key (4), salt (16), nonce (12), ciphertext   encrypted
"""

import logging
import os
import time
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from hmac import compare_digest

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

log = logging.getLogger("tokenthrift.proxy")
SEAL_BYTES = 16
LOG_INTERVAL_SECONDS = 10.0  # between log lines about one store
_PLAIN_MARK, _ENCRYPTED_MARK = b"P", b"E"
_KEY_ID_BYTES, _SALT_BYTES, _NONCE_BYTES = 4, 16, 12


# A seal is keyed BLAKE2b (RFC 7693) over the purpose, the place and the value. It is checked before
# anything is decoded: someone who can write to a store but lacks the pepper cannot make, change or
# move an answer. Encryption is AES-256-GCM under a key per value, derived from a salt, so that no
# number of values wears a key out; the seal covers the ciphertext.
class InvalidSeal(ValueError):
    """The value was not sealed for this place, or its encryption key is not configured."""


class RefusalCounter:
    """Counts values with an invalid seal by store; logs at most every ten seconds per store."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._last_logged: dict[str, tuple[float, int]] = {}

    def count_refusal(self, store: str) -> None:
        """Count one value of this store."""
        self.counts[store] += 1
        said_at, said = self._last_logged.get(store, (-LOG_INTERVAL_SECONDS, 0))
        if time.monotonic() - said_at >= LOG_INTERVAL_SECONDS:
            self._last_logged[store] = time.monotonic(), self.counts[store]
            log.warning(
                "%d stored values of %s failed their seal or were misshapen: not served",
                self.counts[store] - said,
                store,
            )


class Sealer:
    """Seals values for one installation.

    `secret`: the pepper; `instance`: separates installations with the same pepper; `keys`: 32 bytes
    each, the first encrypts if `encrypts`, all decrypt.
    """

    def __init__(
        self, secret: str, instance: str = "", *, keys: Sequence[bytes] = (), encrypts: bool = False
    ) -> None:
        if encrypts and not keys:
            raise ValueError("to encrypt takes a key")
        self.encrypts = encrypts
        self.refusals = RefusalCounter()
        root = blake2b(secret.encode()).digest()
        self._seal_key = blake2b(instance.encode(), key=root, person=b"stored values").digest()
        derived = [blake2b(b"stored values", key=key, digest_size=32).digest() for key in keys]
        self._encryption_keys = {
            blake2b(key, digest_size=_KEY_ID_BYTES).digest(): key for key in derived
        }
        self._first_key_id = next(iter(self._encryption_keys), b"")

    def seal_value(self, purpose: str, body: bytes, *place: str) -> bytes:
        """Return the sealed value for that place; `purpose` is at most 16 ASCII letters."""
        marked = self._encrypt(body) if self.encrypts else _PLAIN_MARK + body
        return self._compute_seal(purpose, marked, place) + marked

    def unseal_value(self, purpose: str, value: bytes, *place: str) -> bytes:
        """Return the body. Raises InvalidSeal."""
        marked = value[SEAL_BYTES:]
        if not compare_digest(self._compute_seal(purpose, marked, place), value[:SEAL_BYTES]):
            raise InvalidSeal("not sealed by us for this place")
        return self._decrypt(marked) if marked[:1] == _ENCRYPTED_MARK else marked[1:]

    def make_mark(self, purpose: str, *place: str) -> str:
        """Return a seal alone, 32 hex characters, for names that carry no value."""
        return self._compute_seal(purpose, b"", place).hex()

    def _compute_seal(self, purpose: str, marked: bytes, place: Sequence[str]) -> bytes:
        made = blake2b(key=self._seal_key, digest_size=SEAL_BYTES, person=purpose.encode())
        for part in place:
            name = part.encode("utf-8", "replace")
            made.update(len(name).to_bytes(4) + name)
        made.update(marked)
        return made.digest()

    def _encrypt(self, body: bytes) -> bytes:
        salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
        key = self._derive_value_key(self._encryption_keys[self._first_key_id], salt)
        return b"".join(
            (
                _ENCRYPTED_MARK,
                self._first_key_id,
                salt,
                nonce,
                AESGCM(key).encrypt(nonce, body, None),
            )
        )

    def _decrypt(self, marked: bytes) -> bytes:
        name, rest = marked[1 : 1 + _KEY_ID_BYTES], marked[1 + _KEY_ID_BYTES :]
        key = self._encryption_keys.get(name)
        if key is None:
            raise InvalidSeal("encrypted under a key that is not configured")
        salt, nonce, text = (
            rest[:_SALT_BYTES],
            rest[_SALT_BYTES : _SALT_BYTES + _NONCE_BYTES],
            rest[_SALT_BYTES + _NONCE_BYTES :],
        )
        try:
            return AESGCM(self._derive_value_key(key, salt)).decrypt(nonce, text, None)
        except (InvalidTag, ValueError) as error:
            raise InvalidSeal("does not decrypt") from error

    @staticmethod
    def _derive_value_key(key: bytes, salt: bytes) -> bytes:
        return blake2b(salt, key=key, digest_size=32, person=b"value").digest()
