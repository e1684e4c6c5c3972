"""Write upstreams and routes."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from django.core.exceptions import ValidationError
from django.db import transaction

from plans.models import Plan
from plans.records import compute_row_version
from plans.services import create_row, lock_configuration, update_row
from proxy.core.config import TlsFiles
from proxy.core.outbound_proxy import check_proxied_address, check_proxy_url
from proxy.core.upstream_corrections import (
    CorrectedAddress,
    correct_base_url,
    correct_provider_key,
)
from proxy.core.upstream_headers import (
    HeaderPairs,
    check_extra_headers,
    check_forwarded_names,
    check_query,
)
from proxy.engines.providers.tls import TlsFileError, load_tls_context
from proxy.models import SECRET_COLUMNS, Route, Upstream
from proxy.upstreams import encryption
from proxy.upstreams.secrets import (
    UpstreamSecrets,
    read_present_secrets,
    reencrypt_secrets,
    write_secrets,
)

UPSTREAM_COLUMNS: Final = ("base_url", "provider", "allow_private", "stream_usage")
ROUTE_COLUMNS: Final = ("upstream", "model", "default_plan")
# The column of each file of TlsFiles.
TLS_COLUMNS: Final = {
    "ca": "ca_file",
    "certificate": "client_certificate_file",
    "key": "client_key_file",
}

Checked = TypeVar("Checked")


@dataclass(frozen=True, slots=True)
class CheckedUpstream:
    """What is stored of an upstream, corrected. `notes`: what was corrected, a sentence each."""

    base_url: str
    forwarded_headers: list[str]
    secrets: UpstreamSecrets
    notes: tuple[str, ...] = ()


def check_upstream_values(upstream: Upstream, secrets: UpstreamSecrets) -> CheckedUpstream:
    """Check and correct what an upstream is about to have; nothing is changed.

    Raises ValidationError with all fields at fault: columns, or provider_key, headers, query and
    proxy_url.
    """
    problems: dict[str, str] = {}

    def check(field: str, work: Callable[[], Checked], otherwise: Checked) -> Checked:
        try:
            return work()
        except ValueError as error:
            problems[field] = str(error)
            return otherwise

    none: HeaderPairs = ()
    query = dict(check("query", lambda: check_query(secrets.query), none))
    address = check(
        "base_url",
        lambda: correct_base_url(
            upstream.base_url,
            provider_id=upstream.provider,
            allow_private=upstream.allow_private,
            query=query,
        ),
        CorrectedAddress(upstream.base_url, query),
    )
    found = CheckedUpstream(
        address.base_url,
        check(
            "forwarded_headers", lambda: check_forwarded_names(upstream.forwarded_headers or ()), []
        ),
        UpstreamSecrets(
            key=check("provider_key", lambda: correct_provider_key(secrets.key), ""),
            headers=dict(check("headers", lambda: check_extra_headers(secrets.headers), none)),
            query=address.query,
            proxy_url=check("proxy_url", lambda: _check_proxy(upstream, address, secrets), ""),
        ),
        address.notes,
    )
    files = list_tls_files(upstream)
    try:
        if files != TlsFiles():  # without any, reading the system's authorities checks nothing
            load_tls_context(files)
    except TlsFileError as error:
        problems[TLS_COLUMNS[error.field]] = str(error)
    if problems:
        raise ValidationError(problems)
    return found


def list_tls_files(upstream: Upstream) -> TlsFiles:
    return TlsFiles(**{field: getattr(upstream, column) for field, column in TLS_COLUMNS.items()})


def save_upstream(
    upstream: Upstream,
    *,
    provider_key: str | None = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    proxy_url: str | None = None,
    read_version: str = "",
    columns: Collection[str] = UPSTREAM_COLUMNS,
    reason: str | None = None,
) -> Upstream:
    """Check and correct an upstream, encrypt its secrets and save it.

    Secrets that are None stay as they are, empty ones are removed. Of a saved upstream only
    `columns` are written, and changed secrets, if it still is what was read
    (`plans.records.compute_row_version`). What was corrected is in `upstream.notes`.

    Raises ValidationError with the fields at fault, or VersionConflict.
    """
    given: dict[str, Any] = {
        "key": provider_key,
        "headers": headers,
        "query": query,
        "proxy_url": proxy_url,
    }
    present, unreadable = read_present_secrets(upstream)
    changes = {name: value for name, value in given.items() if value is not None}
    checked = check_upstream_values(upstream, replace(present, **changes))
    upstream.base_url, upstream.notes = checked.base_url, checked.notes
    upstream.forwarded_headers = checked.forwarded_headers
    # What nobody can decrypt stays until it is replaced.
    written = write_secrets(upstream, checked.secrets, keeping=unreadable - changes.keys())
    upstream.full_clean()
    if upstream._state.adding:
        create_row(upstream, reason=reason)
    else:
        update_row(
            upstream,
            read_version=read_version,
            columns={*columns, "base_url", *written},
            reason=reason,
        )
    return upstream


def _check_proxy(upstream: Upstream, address: CorrectedAddress, secrets: UpstreamSecrets) -> str:
    if not secrets.proxy_url.strip():
        return ""
    found = check_proxy_url(secrets.proxy_url)
    check_proxied_address(address.base_url, allow_private=upstream.allow_private)
    return found


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
    """Re-encrypt all secrets of upstreams under the first encryption key; return of how many.

    All or none. Raises encryption.DecryptionFailed, naming the upstreams whose keys cannot be
    decrypted.
    """
    lock_configuration()
    upstreams, broken = [], []
    for upstream in Upstream.objects.all():
        try:
            if reencrypt_secrets(upstream):
                upstreams.append(upstream)
        except encryption.DecryptionFailed:
            broken.append(upstream.name)
    if broken:
        raise encryption.DecryptionFailed(
            f"no key in TOKENTHRIFT_ENCRYPTION_KEYS opens the provider key of: {', '.join(broken)}"
        )
    if upstreams:
        Upstream.objects.bulk_update(upstreams, SECRET_COLUMNS)
    return len(upstreams)
