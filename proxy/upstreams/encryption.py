"""Encrypt provider keys at rest with Fernet (AES-128-CBC with HMAC-SHA256).

Under settings.ENCRYPTION_KEYS: the first key encrypts, every key decrypts.
"""

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class DecryptionFailed(Exception):
    """No configured key decrypts this: it was encrypted under another, or is damaged."""


def encrypt(text: str) -> bytes:
    """Encrypt a text; empty stays empty."""
    return _build_cipher().encrypt(text.encode()) if text else b""


def decrypt(sealed: bytes | memoryview) -> str:
    """Decrypt a text. Raises DecryptionFailed."""
    if not sealed:
        return ""
    try:
        return _build_cipher().decrypt(bytes(sealed)).decode()
    except InvalidToken:
        raise DecryptionFailed(
            "no key in TOKENTHRIFT_ENCRYPTION_KEYS opens its provider key"
        ) from None


def reencrypt(sealed: bytes | memoryview) -> bytes:
    """Re-encrypt under the first key. Raises DecryptionFailed."""
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
