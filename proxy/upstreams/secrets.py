"""The secrets of an upstream: its key, the values of headers and parameters, its proxy."""

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from proxy.models import SECRET_COLUMNS, Upstream
from proxy.upstreams import encryption


@dataclass(frozen=True, slots=True)
class UpstreamSecrets:
    """All secrets of an upstream, decrypted. The proxy's URL may hold a password."""

    key: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    proxy_url: str = field(default="", repr=False)


# The field of each column that is encrypted.
SECRET_FIELDS: Final = dict(
    zip(("key", "headers", "query", "proxy_url"), SECRET_COLUMNS, strict=True)
)


def read_secrets(upstream: Upstream) -> UpstreamSecrets:
    """Decrypt the secrets of an upstream. Raises encryption.DecryptionFailed."""
    return UpstreamSecrets(**{name: _read_field(upstream, name) for name in SECRET_FIELDS})


def read_present_secrets(upstream: Upstream) -> tuple[UpstreamSecrets, frozenset[str]]:
    """Return the secrets that can be decrypted, and the fields of those that cannot."""
    found: dict[str, Any] = {}
    for name in SECRET_FIELDS:
        with suppress(encryption.DecryptionFailed):
            found[name] = _read_field(upstream, name)
    return UpstreamSecrets(**found), frozenset(SECRET_FIELDS.keys() - found.keys())


def write_secrets(
    upstream: Upstream, secrets: UpstreamSecrets, *, keeping: Collection[str] = ()
) -> set[str]:
    """Encrypt the secrets that differ from the present ones; return their columns.

    `keeping`: fields that stay as they are. The row is not saved.
    """
    present, unreadable = read_present_secrets(upstream)
    columns = set()
    for name, column in SECRET_FIELDS.items():
        value = getattr(secrets, name)
        if name in keeping or (value == getattr(present, name) and name not in unreadable):
            continue
        setattr(upstream, column, encryption.encrypt(_write_value(value)))
        columns.add(column)
    return columns


def reencrypt_secrets(upstream: Upstream) -> bool:
    """Re-encrypt under the first key; whether there was any. Raises encryption.DecryptionFailed."""
    sealed = {column: getattr(upstream, column) for column in SECRET_COLUMNS}
    for column, value in sealed.items():
        setattr(upstream, column, encryption.reencrypt(value))
    return any(sealed.values())


def _read_field(upstream: Upstream, name: str) -> Any:
    text = encryption.decrypt(getattr(upstream, SECRET_FIELDS[name]))
    if name in ("headers", "query"):
        return dict(json.loads(text)) if text else {}
    return text


def _write_value(value: str | Mapping[str, str]) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(dict(value)) if value else ""
