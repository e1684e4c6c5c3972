"""Providers over HTTP: httpx on aiohttp's transport, which carries five times what httpx's own does (see ARCHITECTURE.md)."""

from collections.abc import AsyncIterator, Mapping

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from proxy.core.directory import UpstreamTarget
from proxy.core.errors import GatewayError, UpstreamInvalid, UpstreamTimeout, UpstreamUnreachable
from proxy.engines.upstreams.resolver import PublicResolver

# The transport translates most of aiohttp's errors to httpx's, but not all: bytes that are no HTTP come as aiohttp's own.
FAULTS = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, aiohttp.ClientError)


class HttpReply:
    """A provider's answer whose headers are here and whose body is on its way."""

    def __init__(self, response: httpx.Response, *, limit: int) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._limit = limit

    async def read(self) -> bytes:
        """The whole body. Raises UpstreamTimeout, UpstreamUnreachable, or UpstreamInvalid beyond the size limit."""
        body = bytearray()
        try:
            async for data in self.chunks():
                body += data
                if len(body) > self._limit:
                    raise UpstreamInvalid("The upstream's answer is larger than the limit.")
        finally:
            await self.close()
        return bytes(body)

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for data in self._response.aiter_bytes():
                yield data
        except FAULTS as error:
            raise _as_gateway_error(error) from error

    async def close(self) -> None:
        await self._response.aclose()


class HttpUpstream:
    """Two connection pools: to public providers, and to those that may live on a private network.

    Redirects are not followed: an upstream is where the administrator said it is.
    """

    def __init__(self, *, body_limit: int) -> None:
        self._limit = body_limit
        self._public = _client(PublicResolver())
        self._private = _client(None)

    async def send(self, target: UpstreamTarget, body: bytes, *, request_id: str, stream: bool) -> HttpReply:
        """POST to `<base_url>/chat/completions`; the reply's body is unread. Raises UpstreamUnreachable or UpstreamTimeout."""
        headers = {
            "content-type": "application/json",
            "accept": "text/event-stream" if stream else "application/json",
            "x-request-id": request_id,
        }
        if target.api_key:
            headers["authorization"] = f"Bearer {target.api_key}"
        timeout = httpx.Timeout(target.read_timeout, connect=target.connect_timeout, pool=target.connect_timeout)
        url = f"{target.base_url.rstrip('/')}/chat/completions"
        try:
            client = self._private if target.allow_private else self._public
            request = client.build_request("POST", url, content=body, headers=headers, timeout=timeout)
            return HttpReply(await client.send(request, stream=True), limit=self._limit)
        except FAULTS as error:
            raise _as_gateway_error(error) from error

    async def close(self) -> None:
        await self._public.aclose()
        await self._private.aclose()


def _client(resolver: PublicResolver | None) -> httpx.AsyncClient:
    connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=60, resolver=resolver)
    session = aiohttp.ClientSession(connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar())
    return httpx.AsyncClient(transport=AiohttpTransport(client=session), follow_redirects=False, trust_env=False)


def _as_gateway_error(error: Exception) -> GatewayError:
    """Our error for httpx's. The provider's address stays out of the message: it is the administrator's business."""
    if isinstance(error, httpx.ConnectTimeout):
        return UpstreamUnreachable("The upstream could not be reached: no connection in time.")
    if isinstance(error, httpx.TimeoutException):
        return UpstreamTimeout("The upstream did not answer in time.")
    return UpstreamUnreachable(f"The upstream could not be reached: {type(error).__name__}.")
