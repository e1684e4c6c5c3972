"""The upstream engine against real sockets: what breaks has a name,
and redirects and private names lead nowhere."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from proxy.core.config import ProviderEndpoint
from proxy.core.errors import UpstreamInvalid, UpstreamTimeout, UpstreamUnreachable
from proxy.engines.providers.http import HttpUpstream
from tests.support.upstream import completion, running_upstream

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"


def target(base_url: str, **fields: Any) -> ProviderEndpoint:
    return ProviderEndpoint(
        id=1,
        name="u",
        base_url=base_url,
        **({"allow_private": True, "read_timeout": 0.3, "connect_timeout": 0.3} | fields),
    )


@asynccontextmanager
async def raw_server(handler: Handler) -> AsyncIterator[str]:
    """A server that speaks bytes; its base URL."""
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()


def says(data: bytes, *, wait: float = 0.0) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(wait)
        writer.close()

    return handler


@pytest.fixture
async def upstream() -> AsyncIterator[HttpUpstream]:
    made = HttpUpstream(body_limit=10_000)
    yield made
    await made.close()


async def send(
    upstream: HttpUpstream, base_url: str, *, stream: bool = False, **fields: Any
) -> Any:
    return await upstream.send(
        target(base_url, **fields), b'{"model":"m"}', request_id="r", stream=stream
    )


async def test_an_answer_comes_back_whole(upstream: HttpUpstream) -> None:
    with running_upstream() as mock:
        reply = await send(upstream, mock.base_url, api_key="sk-1")
        assert reply.status == 200
        assert orjson.loads(await reply.read_body()) == completion()
        assert mock.requests == [{"model": "m"}]


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/v1", "http://no-such-host.invalid/v1"])
async def test_a_refused_connection_and_an_unknown_name_are_unreachable(
    upstream: HttpUpstream, address: str
) -> None:
    with pytest.raises(UpstreamUnreachable):
        await send(upstream, address)


async def test_a_slow_first_byte_is_a_timeout(upstream: HttpUpstream) -> None:
    async with raw_server(says(b"", wait=5)) as address:
        with pytest.raises(UpstreamTimeout):
            await send(upstream, address)


async def test_silence_in_mid_stream_is_a_timeout(upstream: HttpUpstream) -> None:
    async with raw_server(says(OK + b"\r\ndata: {}\n\n", wait=5)) as address:
        reply = await send(upstream, address, stream=True)
        chunks = reply.iter_chunks()
        assert await anext(chunks) == b"data: {}\n\n"
        with pytest.raises(UpstreamTimeout):
            await anext(chunks)
        await reply.close()


async def test_a_body_cut_short_is_unreachable(upstream: HttpUpstream) -> None:
    async with raw_server(says(OK + b"content-length: 100\r\n\r\nhalf")) as address:
        reply = await send(upstream, address)
        with pytest.raises(UpstreamUnreachable):
            await reply.read_body()


async def test_an_endless_body_is_refused_at_the_limit(upstream: HttpUpstream) -> None:
    async with raw_server(
        says(OK + b"content-length: 99999999\r\n\r\n" + b"x" * 100_000, wait=5)
    ) as address:
        reply = await send(upstream, address)
        with pytest.raises(UpstreamInvalid):
            await reply.read_body()


async def test_bytes_that_are_no_http_are_unreachable(upstream: HttpUpstream) -> None:
    async with raw_server(says(b"SSH-2.0-nope\r\n\r\n")) as address:
        with pytest.raises(UpstreamUnreachable):
            await send(upstream, address)


async def test_a_redirect_is_not_followed(upstream: HttpUpstream) -> None:
    async with raw_server(
        says(b"HTTP/1.1 307 x\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n")
    ) as address:
        assert (await send(upstream, address)).status == 307


async def test_a_public_name_cannot_lead_into_the_private_network(
    upstream: HttpUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rebound(host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    with running_upstream() as mock:
        monkeypatch.setattr(socket, "getaddrinfo", rebound)
        address = f"http://api.example.com:{mock.port}/v1"
        with pytest.raises(UpstreamUnreachable):
            await send(upstream, address, allow_private=False)
        assert not mock.requests
        assert (await send(upstream, address, allow_private=True)).status == 200
