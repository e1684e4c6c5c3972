"""Providers over HTTP, by aiohttp.

httpx on aiohttp's transport carried half as many requests (docs/decisions/0007).
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import aiohttp

from proxy.core.config import ProviderEndpoint, TlsFiles
from proxy.core.errors import GatewayError, UpstreamTimeout, UpstreamUnreachable
from proxy.core.outbound_proxy import EnvironmentProxies, check_proxied_address
from proxy.core.upstream_corrections import CHAT_PATH, build_models_url
from proxy.core.upstream_headers import HeaderPairs
from proxy.core.upstream_replies import read_limited
from proxy.engines.providers.resolver import PrivateAddressError, PublicResolver
from proxy.engines.providers.tls import TlsContexts, TlsFileError

log = logging.getLogger("tokenthrift.proxy")
KEEPALIVE_SECONDS = 60
NO_PROXIES: Final = EnvironmentProxies()
NO_TLS_FILES: Final = TlsFiles()
# Errors before a byte of the request was sent: no connection, no such name, no valid certificate,
# an invalid URL.
UNSENT_ERRORS = (aiohttp.ClientConnectorError, ValueError)
# What OpenSSL calls the alerts of a server that is not content with a client's certificate.
CERTIFICATE_ALERTS: Final = frozenset(
    {
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "TLSV1_ALERT_UNKNOWN_CA",
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
    }
)
# ValueError: the address is not a URL.
HTTP_ERRORS = (aiohttp.ClientError, TimeoutError, OSError, ValueError)


class HttpReply:
    """A provider's reply whose headers were received and whose body may still be arriving."""

    def __init__(self, response: aiohttp.ClientResponse, *, limit: int) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._max_body_bytes = limit

    async def read_body(self) -> bytes:
        """Read the whole body.

        Raises UpstreamTimeout, UpstreamUnreachable, or UpstreamInvalid beyond the size limit.
        """
        return await read_limited(self, limit=self._max_body_bytes)

    async def iter_chunks(self) -> AsyncIterator[bytes]:
        try:
            async for data in self._response.content.iter_any():
                yield data
        except HTTP_ERRORS as error:
            raise _build_gateway_error(error) from error

    async def close(self) -> None:
        """Release the connection if the body was read to its end, else close it."""
        # Closing tells the provider to stop.
        self._response.close()


class HttpUpstream:
    """Connection pools: to public providers, to those in private networks, and to proxies."""

    def __init__(
        self, *, body_limit: int, environment_proxies: EnvironmentProxies = NO_PROXIES
    ) -> None:
        self._max_body_bytes = body_limit
        self._environment_proxies = environment_proxies
        self._resolver = PublicResolver()
        self._public_session = _open_session(self._resolver)
        self._private_session = _open_session(None)
        # Apart, or a connection of one would be used by the other without a look at the name.
        self._public_proxied_session = _open_session(None, [_trace_hosts(self._resolver)])
        self._private_proxied_session = _open_session(None)
        self._tls_contexts = TlsContexts()

    async def send(
        self,
        target: ProviderEndpoint,
        body: bytes,
        *,
        request_id: str,
        stream: bool,
        trace: str = "",
        forwarded: HeaderPairs = (),
    ) -> HttpReply:
        """POST to `<base_url>/chat/completions`; the reply's body is unread.

        `forwarded`: headers of the client. Raises UpstreamUnreachable or UpstreamTimeout.
        """
        headers = {
            **dict(forwarded),
            "content-type": "application/json",
            "accept": "text/event-stream" if stream else "application/json",
            "x-request-id": request_id,
        }
        if trace:
            headers["traceparent"] = trace
        return await self._request(target, "POST", build_chat_url(target), headers, body)

    async def list_models(self, target: ProviderEndpoint) -> HttpReply:
        """GET `<base_url>/models`; the reply's body is unread.

        Raises UpstreamUnreachable or UpstreamTimeout.
        """
        url = build_models_url(target.base_url)
        return await self._request(target, "GET", url, {"accept": "application/json"})

    async def _request(
        self,
        target: ProviderEndpoint,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes | None = None,
    ) -> HttpReply:
        timeout = aiohttp.ClientTimeout(
            connect=target.connect_timeout,
            sock_connect=target.connect_timeout,
            sock_read=target.read_timeout,
        )
        # What the administrator says of every request counts more than what a client says.
        headers = {**headers, **dict(target.headers), **build_key_header(target)}
        if target.query:
            url = f"{url}?{urlencode(target.query)}"
        try:
            proxy = target.proxy_url or self._environment_proxies.find_proxy(target.base_url)
            # Redirects are not followed: an upstream is where the administrator said it is.
            response = await self._select_session(target, proxy).request(
                method,
                url,
                data=body,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
                proxy=proxy or None,
                ssl=await self._select_tls_context(target),
                trace_request_ctx=urlsplit(target.base_url).hostname,
            )
        except TlsFileError as error:
            log.error("upstream %s cannot be reached: %s", target.name, error)
            raise UpstreamUnreachable(
                "The upstream could not be reached: a certificate file cannot be read."
            ) from error
        except HTTP_ERRORS as error:
            raise _build_gateway_error(error) from error
        return HttpReply(response, limit=self._max_body_bytes)

    def _select_session(self, target: ProviderEndpoint, proxy: str) -> aiohttp.ClientSession:
        if not proxy:
            return self._private_session if target.allow_private else self._public_session
        check_proxied_address(target.base_url, allow_private=target.allow_private)
        return (
            self._private_proxied_session if target.allow_private else self._public_proxied_session
        )

    async def _select_tls_context(self, target: ProviderEndpoint) -> "ssl.SSLContext | bool":
        """Return the upstream's own context; True for the session's."""
        if target.tls_files == NO_TLS_FILES:
            return True
        return await self._tls_contexts.get_context(target.tls_files)

    async def close(self) -> None:
        await asyncio.gather(
            self._public_session.close(),
            self._private_session.close(),
            self._public_proxied_session.close(),
            self._private_proxied_session.close(),
        )


def build_chat_url(target: ProviderEndpoint) -> str:
    return f"{target.base_url.rstrip('/')}{CHAT_PATH}"


def build_key_header(target: ProviderEndpoint) -> dict[str, str]:
    """Return the header that carries the key, in the form that the provider reads; {} of none."""
    if not target.api_key:
        return {}
    if target.key_header == "bearer":
        return {"authorization": f"Bearer {target.api_key}"}
    return {target.key_header: target.api_key}


def _open_session(
    resolver: PublicResolver | None, traces: "list[aiohttp.TraceConfig] | None" = None
) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        limit=0,
        ttl_dns_cache=60,
        resolver=resolver,
        ssl=ssl.create_default_context(),
        socket_factory=_open_keepalive_socket,
    )
    # The environment is read by `proxy.core.outbound_proxy`, and only if that is asked for; this
    # would also read passwords from ~/.netrc.
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        trace_configs=traces,
    )


def _trace_hosts(resolver: PublicResolver) -> aiohttp.TraceConfig:
    """Check a request's host before each new connection by way of a proxy."""

    async def check_host(session: Any, context: Any, params: Any) -> None:
        await resolver.check_proxied_host(context.trace_request_ctx or "")

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_start.append(check_host)
    return trace


def _open_keepalive_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Open a socket with TCP keepalive."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setblocking(False)
    # Middleboxes drop a connection that is silent for some minutes while a provider thinks.
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_SECONDS),
        ("TCP_KEEPINTVL", KEEPALIVE_SECONDS),
        ("TCP_KEEPCNT", 5),
    ):
        if hasattr(socket, option):  # not on every system
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made


def _build_gateway_error(error: Exception) -> GatewayError:
    """Convert aiohttp's error to ours."""
    # The provider's address stays out of the messages: it is the administrator's business.
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return UpstreamUnreachable("The upstream could not be reached: no connection in time.")
    if isinstance(error, TimeoutError):
        return UpstreamTimeout("The upstream did not answer in time.")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return UpstreamUnreachable(
            f"The upstream could not be reached: the proxy answers {error.status}."
        )
    causes = list(iter_causes(error))
    if any(isinstance(cause, PrivateAddressError) for cause in causes):
        return UpstreamUnreachable(
            "The upstream could not be reached: its name leads to a private address."
        )
    if any(_is_certificate_demanded(cause) for cause in causes):
        return UpstreamUnreachable(
            "The upstream could not be reached: it demands another client certificate."
        )
    before = isinstance(error, UNSENT_ERRORS)
    return UpstreamUnreachable(
        f"The upstream could not be reached: {type(error).__name__}.", had_request=not before
    )


def iter_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it came from, outermost first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_certificate_demanded(error: BaseException) -> bool:
    """Whether a server broke off for want of a client certificate that it takes."""
    # In TLS 1.3 that is told after the handshake, in place of an answer.
    return isinstance(error, ssl.SSLError) and getattr(error, "reason", None) in CERTIFICATE_ALERTS
