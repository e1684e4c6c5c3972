"""Where an upstream is and how it is called, as the request path uses it."""

from typing import cast

from proxy.core.config import ProviderEndpoint
from proxy.core.outbound_proxy import check_proxied_address
from proxy.core.providers import KeyHeader, get_provider
from proxy.core.upstream_headers import check_extra_headers, check_query, digest_pairs
from proxy.core.upstream_urls import check_base_url
from proxy.models import Upstream
from proxy.upstreams.secrets import read_secrets
from proxy.upstreams.services import list_tls_files


def build_endpoint(upstream: Upstream) -> ProviderEndpoint:
    """Build the endpoint with the decrypted secrets.

    Raises ValueError for a forbidden address or header, and encryption.DecryptionFailed.
    """
    secrets = read_secrets(upstream)
    base_url = check_base_url(upstream.base_url, allow_private=upstream.allow_private)
    if secrets.proxy_url:
        check_proxied_address(base_url, allow_private=upstream.allow_private)
    headers, query = check_extra_headers(secrets.headers), check_query(secrets.query)
    return ProviderEndpoint(
        id=upstream.pk,
        name=upstream.name,
        base_url=base_url,
        provider=upstream.provider,
        api_key=secrets.key,
        connect_timeout=upstream.connect_timeout,
        read_timeout=upstream.read_timeout,
        allow_private=upstream.allow_private,
        stream_usage=upstream.stream_usage,
        key_header=cast(KeyHeader, upstream.key_header)
        or get_provider(upstream.provider).key_header,
        headers=headers,
        query=query,
        extras_digest=digest_pairs(headers, query),
        forwarded_headers=frozenset(upstream.forwarded_headers),
        proxy_url=secrets.proxy_url,
        tls_files=list_tls_files(upstream),
    )
