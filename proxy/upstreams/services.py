"""Write upstreams and routes."""

from collections.abc import Collection
from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction

from plans.models import Plan
from plans.records import compute_row_version
from plans.services import create_row, lock_configuration, update_row
from proxy.core.upstream_urls import check_base_url
from proxy.models import Route, Upstream
from proxy.upstreams import encryption

UPSTREAM_COLUMNS: Final = ("base_url", "provider", "allow_private", "stream_usage")
ROUTE_COLUMNS: Final = ("upstream", "model", "default_plan")


def save_upstream(
    upstream: Upstream,
    *,
    provider_key: str | None = None,
    read_version: str = "",
    columns: Collection[str] = UPSTREAM_COLUMNS,
    reason: str | None = None,
) -> Upstream:
    """Check the address, encrypt the key and save.

    `provider_key` None keeps the current key, "" removes it. Of a saved upstream only `columns`
    are written, and the key, if it still is what was read (`plans.records.compute_row_version`).

    Raises ValidationError with the fields at fault, or VersionConflict.
    """
    try:
        upstream.base_url = check_base_url(upstream.base_url, allow_private=upstream.allow_private)
    except ValueError as error:
        raise ValidationError({"base_url": str(error)}) from None
    if provider_key is not None:
        try:
            upstream.encrypted_key = encryption.encrypt(validate_provider_key(provider_key))
        except ValueError as error:
            raise ValidationError({"encrypted_key": str(error)}) from None
    upstream.full_clean()
    if upstream._state.adding:
        create_row(upstream, reason=reason)
    else:
        key_columns = () if provider_key is None else ("encrypted_key",)
        update_row(
            upstream,
            read_version=read_version,
            columns={*columns, *key_columns},
            reason=reason,
        )
    return upstream


def validate_provider_key(provider_key: str) -> str:
    """Return the key without surrounding blanks. Raises ValueError unless it is printable ASCII."""
    # It is sent in a header.
    key = provider_key.strip()
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise ValueError(
            "The provider key must be printable ASCII without blanks: it is sent in a header."
        )
    return key


@transaction.atomic
def put_upstream(
    *,
    name: str,
    base_url: str,
    provider: str = "openai",
    provider_key: str = "",
    allow_private: bool = False,
    stream_usage: bool = True,
) -> Upstream:
    """Create or update the upstream of that name. Raises ValidationError."""
    lock_configuration()
    upstream = Upstream.objects.filter(name=name).first() or Upstream(name=name)
    read_version = compute_row_version(upstream)
    upstream.base_url, upstream.provider = base_url, provider
    upstream.allow_private, upstream.stream_usage = allow_private, stream_usage
    return save_upstream(upstream, provider_key=provider_key, read_version=read_version)


@transaction.atomic
def put_route(
    *, name: str, upstream: Upstream, model: str, default_plan: Plan | None = None
) -> Route:
    """Create or update the route of that name. Raises ValidationError."""
    lock_configuration()
    route = Route.objects.filter(name=name).first() or Route(name=name)
    read_version = compute_row_version(route)
    route.upstream, route.model, route.default_plan = upstream, model, default_plan
    route.full_clean()
    if route._state.adding:
        create_row(route)
    else:
        update_row(route, read_version=read_version, columns=ROUTE_COLUMNS)
    return route


@transaction.atomic
def rotate_encryption_keys() -> int:
    """Re-encrypt all provider keys under the first encryption key; return how many.

    All or none. Raises encryption.DecryptionFailed, naming the upstreams whose keys cannot be
    decrypted.
    """
    lock_configuration()
    upstreams = [upstream for upstream in Upstream.objects.all() if upstream.encrypted_key]
    broken = []
    for upstream in upstreams:
        try:
            upstream.encrypted_key = encryption.reencrypt(upstream.encrypted_key)
        except encryption.DecryptionFailed:
            broken.append(upstream.name)
    if broken:
        raise encryption.DecryptionFailed(
            f"no key in TOKENTHRIFT_ENCRYPTION_KEYS opens the provider key of: {', '.join(broken)}"
        )
    if upstreams:
        Upstream.objects.bulk_update(upstreams, ["encrypted_key"])
    return len(upstreams)
