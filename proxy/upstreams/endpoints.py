"""Where an upstream is and how it is called, as the request path uses it."""

from proxy.core.config import ProviderEndpoint
from proxy.core.upstream_urls import check_base_url
from proxy.models import Upstream
from proxy.upstreams import encryption


def build_endpoint(upstream: Upstream) -> ProviderEndpoint:
    """Build the endpoint with the decrypted key.

    Raises ValueError for a forbidden address, and encryption.DecryptionFailed.
    """
    return ProviderEndpoint(
        id=upstream.pk,
        name=upstream.name,
        base_url=check_base_url(upstream.base_url, allow_private=upstream.allow_private),
        provider=upstream.provider,
        api_key=encryption.decrypt(upstream.encrypted_key),
        connect_timeout=upstream.connect_timeout,
        read_timeout=upstream.read_timeout,
        allow_private=upstream.allow_private,
        stream_usage=upstream.stream_usage,
    )
