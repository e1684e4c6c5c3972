"""Providers over HTTP, by aiohttp.

httpx on aiohttp's transport carried half as many requests (docs/decisions/0007).
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Mapping

import aiohttp

from proxy.core.config import ProviderEndpoint
from proxy.core.errors import GatewayError, UpstreamTimeout, UpstreamUnreachable
from proxy.core.upstream_replies import read_limited
from proxy.engines.providers.resolver import PublicResolver

KEEPALIVE_SECONDS = 60
# Errors before a byte of the request was sent: no connection, no such name, no valid certificate,
# an invalid URL.
UNSENT_ERRORS = (aiohttp.ClientConnectorError, ValueError)
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
    """Two connection pools: to public providers, and to those that may be on a private network."""

    def __init__(self, *, body_limit: int) -> None:
        self._max_body_bytes = body_limit
        self._public_session = _open_session(PublicResolver())
        self._private_session = _open_session(None)

    async def send(
        self,
        target: ProviderEndpoint,
        body: bytes,
        *,
        request_id: str,
        stream: bool,
        trace: str = "",
    ) -> HttpReply:
        """POST to `<base_url>/chat/completions`; the reply's body is unread.

        Raises UpstreamUnreachable or UpstreamTimeout.
        """
        headers = {
            "content-type": "application/json",
            "accept": "text/event-stream" if stream else "application/json",
            "x-request-id": request_id,
        }
        if trace:
            headers["traceparent"] = trace
        if target.api_key:
            headers["authorization"] = f"Bearer {target.api_key}"
        return await self._request(target, "POST", "chat/completions", headers, body)

    async def list_models(self, target: ProviderEndpoint) -> HttpReply:
        """GET `<base_url>/models`; the reply's body is unread.

        Raises UpstreamUnreachable or UpstreamTimeout.
        """
        headers = {"accept": "application/json"}
        if target.api_key:
            headers["authorization"] = f"Bearer {target.api_key}"
        return await self._request(target, "GET", "models", headers)

    async def _request(
        self,
        target: ProviderEndpoint,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes | None = None,
    ) -> HttpReply:
        session = self._private_session if target.allow_private else self._public_session
        timeout = aiohttp.ClientTimeout(
            connect=target.connect_timeout,
            sock_connect=target.connect_timeout,
            sock_read=target.read_timeout,
        )
        url = f"{target.base_url.rstrip('/')}/{path}"
        try:
            # Redirects are not followed: an upstream is where the administrator said it is.
            response = await session.request(
                method, url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            )
        except HTTP_ERRORS as error:
            raise _build_gateway_error(error) from error
        return HttpReply(response, limit=self._max_body_bytes)

    async def close(self) -> None:
        await asyncio.gather(self._public_session.close(), self._private_session.close())


def _open_session(resolver: PublicResolver | None) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        limit=0,
        ttl_dns_cache=60,
        resolver=resolver,
        ssl=ssl.create_default_context(),
        socket_factory=_open_keepalive_socket,
    )
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
    )


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
    before = isinstance(error, UNSENT_ERRORS)
    return UpstreamUnreachable(
        f"The upstream could not be reached: {type(error).__name__}.", had_request=not before
    )
