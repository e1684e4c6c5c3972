"""The sealer built from the settings."""

import base64
import binascii
from functools import lru_cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from proxy.core.sealing import Sealer


def get_sealer() -> Sealer:
    """Return the process's sealer for the current settings.

    Raises ImproperlyConfigured if values are to be encrypted and there is no usable key.
    """
    return _build_sealer(
        settings.KEY_PEPPER,
        settings.INSTANCE,
        tuple(settings.ENCRYPTION_KEYS),
        settings.ENCRYPT_CACHE,
    )


@lru_cache(maxsize=4)
def _build_sealer(pepper: str, instance: str, keys: tuple[str, ...], encrypts: bool) -> Sealer:
    try:
        return Sealer(
            pepper,
            instance,
            keys=[base64.urlsafe_b64decode(key) for key in keys],
            encrypts=encrypts,
        )
    except (binascii.Error, ValueError):
        if not encrypts:  # `manage.py check` reports it
            return Sealer(pepper, instance)
        raise ImproperlyConfigured(
            "TOKENTHRIFT_ENCRYPT_CACHE is on: TOKENTHRIFT_ENCRYPTION_KEYS must hold Fernet "
            "keys, split by commas."
        ) from None
