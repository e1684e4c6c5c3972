"""Provider keys at rest: Fernet (AES-128-CBC with HMAC-SHA256) under settings.ENCRYPTION_KEYS;
the first key seals, every key opens."""

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class DecryptionFailed(Exception):
    """None of the configured keys opens this: it was sealed under another, or is damaged."""


def encrypt(text: str) -> bytes:
    """The text as it may be stored; empty stays empty."""
    return _build_cipher().encrypt(text.encode()) if text else b""


def decrypt(sealed: bytes | memoryview) -> str:
    """The text that was sealed. Raises SealBroken."""
    if not sealed:
        return ""
    try:
        return _build_cipher().decrypt(bytes(sealed)).decode()
    except InvalidToken:
        raise DecryptionFailed(
            "no key in TOKENTHRIFT_ENCRYPTION_KEYS opens its provider key"
        ) from None


def reencrypt(sealed: bytes | memoryview) -> bytes:
    """The same text sealed under the first key. Raises SealBroken."""
    return encrypt(decrypt(sealed))


def _build_cipher() -> MultiFernet:
    if not settings.ENCRYPTION_KEYS:
        raise ImproperlyConfigured(
            "TOKENTHRIFT_ENCRYPTION_KEYS is empty: provider keys cannot be stored."
        )
    try:
        return MultiFernet([Fernet(key) for key in settings.ENCRYPTION_KEYS])
    except ValueError:
        raise ImproperlyConfigured(
            "TOKENTHRIFT_ENCRYPTION_KEYS: each key must be 32 url-safe base64-encoded bytes."
        ) from None
