"""Upstreams by way of a real proxy, and behind TLS with an own authority that demands a client
certificate."""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from proxy.core.config import ProviderEndpoint, TlsFiles
from proxy.core.errors import UpstreamUnreachable
from proxy.core.outbound_proxy import read_environment_proxies
from proxy.engines.providers import tls
from proxy.engines.providers.http import HttpUpstream
from proxy.engines.providers.tls import TlsFileError, load_tls_context
from tests.support.certificates import Authority, write_key
from tests.support.connect_proxy import running_proxy

HOST = "llm.example.com"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


@asynccontextmanager
async def running_server(
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[tuple[int, list[str]]]:
    """A server on loopback; its port, and the heads of the requests that it was sent."""
    heads: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
            except (asyncio.IncompleteReadError, OSError):
                break
            heads.append(head)
            length = head.lower().partition("content-length: ")[2].partition("\r\n")[0]
            await reader.readexactly(int(length or 0))
            writer.write(ANSWER)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], heads
    finally:
        server.close()


def serve_as(authority: Authority, *hosts: str, clients: Authority | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server", *hosts))
    if clients is not None:
        context.load_verify_locations(clients.file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def target(base_url: str, **fields: Any) -> ProviderEndpoint:
    given = {"read_timeout": 5.0, "connect_timeout": 5.0} | fields
    return ProviderEndpoint(id=1, name="u", base_url=base_url, **given)


async def ask(upstream: HttpUpstream, endpoint: ProviderEndpoint) -> int:
    reply = await upstream.send(endpoint, b"{}", request_id="r", stream=False)
    await reply.read_body()
    return reply.status


@pytest.fixture
async def upstream() -> AsyncIterator[HttpUpstream]:
    made = HttpUpstream(body_limit=10_000)
    yield made
    await made.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def resolve_to(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the names of our own look-ups lead to these addresses; without any they are unknown."""
    known = socket.getaddrinfo

    def lead(*addresses: str) -> None:
        def find(host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
            if host != HOST:
                return known(host, port, *args, **kwargs)
            if not addresses:
                raise socket.gaierror(socket.EAI_NONAME, "unknown")
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", find)

    return lead


# By way of a proxy.


@pytest.mark.parametrize("addresses", [(), ("8.8.8.8",)], ids=["unknown-here", "public"])
async def test_an_upstream_is_reached_through_a_tunnel_of_its_proxy(
    upstream: HttpUpstream,
    authority: Authority,
    resolve_to: Callable[..., None],
    addresses: tuple[str, ...],
) -> None:
    resolve_to(*addresses)
    async with (
        running_server(serve_as(authority, HOST)) as (port, heads),
        running_proxy(addresses={HOST: ("127.0.0.1", port)}, credentials="me:p@ss") as proxy,
    ):
        endpoint = target(
            f"https://{HOST}/v1",
            api_key="sk-1",
            proxy_url=proxy.url.replace("//", "//me:p%40ss@"),
            tls_files=TlsFiles(ca=str(authority.file)),
        )
        assert await ask(upstream, endpoint) == 200
        assert await ask(upstream, endpoint) == 200
        assert proxy.asked == [f"CONNECT {HOST}:443 HTTP/1.1"]  # one tunnel for both
        assert heads[0].startswith("POST /v1/chat/completions HTTP/1.1\r\n")
        assert "proxy-authorization" not in "".join(heads).lower()


async def test_a_proxy_that_refuses_the_password_is_told_without_it(
    upstream: HttpUpstream, resolve_to: Callable[..., None]
) -> None:
    resolve_to("8.8.8.8")
    async with running_proxy(credentials="me:right") as proxy:
        wrong = proxy.url.replace("//", "//me:wrong@")
        with pytest.raises(UpstreamUnreachable, match="the proxy answers 407") as caught:
            await ask(upstream, target(f"https://{HOST}/v1", proxy_url=wrong))
    assert "wrong" not in str(caught.value)
    assert not caught.value.had_request  # so it may be tried again
    with pytest.raises(UpstreamUnreachable):
        await ask(upstream, target(f"https://{HOST}/v1", proxy_url="http://127.0.0.1:9"))


@pytest.mark.parametrize("addresses", [("10.0.0.1",), ("8.8.8.8", "127.0.0.1")], ids=str)
async def test_a_public_name_that_leads_inside_is_not_asked_of_a_proxy_either(
    upstream: HttpUpstream, resolve_to: Callable[..., None], addresses: tuple[str, ...]
) -> None:
    resolve_to(*addresses)
    async with running_proxy() as proxy:
        with pytest.raises(UpstreamUnreachable, match="leads to a private address") as caught:
            await ask(upstream, target(f"https://{HOST}/v1", proxy_url=proxy.url))
        assert proxy.asked == []
        assert not caught.value.had_request


async def test_a_proxy_that_leads_a_public_name_inside_finds_nobody_with_its_certificate(
    upstream: HttpUpstream, authority: Authority, resolve_to: Callable[..., None]
) -> None:
    resolve_to("8.8.8.8")  # here; the proxy is told another address
    async with (
        running_server(serve_as(authority, "inside.local")) as (port, heads),
        running_proxy(addresses={HOST: ("127.0.0.1", port)}) as proxy,
    ):
        endpoint = target(
            f"https://{HOST}/v1", proxy_url=proxy.url, tls_files=TlsFiles(ca=str(authority.file))
        )
        with pytest.raises(UpstreamUnreachable, match="Certificate"):
            await ask(upstream, endpoint)
        assert heads == []
        plain = target(f"http://{HOST}/v1", proxy_url=proxy.url)
        with pytest.raises(UpstreamUnreachable):
            await ask(upstream, plain)
        assert len(proxy.asked) == 1


async def test_a_tunnel_of_a_private_upstream_is_not_used_by_a_public_one(
    upstream: HttpUpstream, authority: Authority, resolve_to: Callable[..., None]
) -> None:
    resolve_to("10.0.0.1")
    async with (
        running_server(serve_as(authority, HOST)) as (port, _),
        running_proxy(addresses={HOST: ("127.0.0.1", port)}) as proxy,
    ):
        fields = {"proxy_url": proxy.url, "tls_files": TlsFiles(ca=str(authority.file))}
        own = target(f"https://{HOST}/v1", allow_private=True, **fields)
        assert await ask(upstream, own) == 200
        with pytest.raises(UpstreamUnreachable, match="leads to a private address"):
            await ask(upstream, target(f"https://{HOST}/v1", **fields))


async def test_a_server_of_ones_own_may_be_reached_over_http_by_way_of_a_proxy(
    upstream: HttpUpstream,
) -> None:
    async with (
        running_server() as (port, heads),
        running_proxy(addresses={"gpu-1": ("127.0.0.1", port)}) as proxy,
    ):
        endpoint = target("http://gpu-1:8000/v1", proxy_url=proxy.url, allow_private=True)
        assert await ask(upstream, endpoint) == 200
        assert proxy.asked == ["POST http://gpu-1:8000/v1/chat/completions HTTP/1.1"]
        assert len(heads) == 1


async def test_the_environments_proxy_is_used_only_where_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running_server() as (port, _), running_proxy() as proxy:
        proxy.addresses["gpu-1"] = ("127.0.0.1", port)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        own = target("http://gpu-1:8000/v1", allow_private=True)
        unasked = HttpUpstream(body_limit=100)
        with pytest.raises(UpstreamUnreachable):
            await ask(unasked, own)
        await unasked.close()
        assert proxy.asked == []
        asked = HttpUpstream(
            body_limit=100, environment_proxies=read_environment_proxies(os.environ)
        )
        assert await ask(asked, own) == 200
        assert len(proxy.asked) == 1
        direct = target(f"http://127.0.0.1:{port}/v1", allow_private=True)
        assert await ask(asked, direct) == 200  # its own loopback is not the proxy's
        assert len(proxy.asked) == 1
        await asked.close()


# Authorities and client certificates.


async def test_an_own_authority_is_believed_where_it_is_named_and_nowhere_else(
    upstream: HttpUpstream, authority: Authority
) -> None:
    async with running_server(serve_as(authority, "127.0.0.1")) as (port, heads):
        url = f"https://127.0.0.1:{port}/v1"
        named = TlsFiles(ca=str(authority.file))
        assert await ask(upstream, target(url, allow_private=True, tls_files=named)) == 200
        with pytest.raises(UpstreamUnreachable, match="Certificate") as caught:
            await ask(upstream, target(url, allow_private=True))
        assert not caught.value.had_request
        assert len(heads) == 1


async def test_a_client_certificate_is_shown_where_it_is_demanded(
    upstream: HttpUpstream, authority: Authority, tmp_path: Path
) -> None:
    clients, strangers = Authority(tmp_path, "clients"), Authority(tmp_path, "strangers")
    context = serve_as(authority, "127.0.0.1", clients=clients)
    certificate, key = clients.issue("gateway")
    other, other_key = strangers.issue("stranger")
    both = tmp_path / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    async with running_server(context) as (port, heads):

        async def ask_with(*files: Path) -> int:
            names = TlsFiles(str(authority.file), *map(str, files))
            url = f"https://127.0.0.1:{port}/v1"
            return await ask(upstream, target(url, allow_private=True, tls_files=names))

        assert await ask_with(certificate, key) == 200
        assert await ask_with(both) == 200
        for files in ((), (other, other_key)):
            # The alert, or the end of the connection that overtakes it.
            with pytest.raises(UpstreamUnreachable, match=r"client certificate|ClientOSError"):
                await ask_with(*files)
        assert len(heads) == 2


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("missing", "cannot be read: No such file"),
        ("relative", "absolute path"),
        ("empty", "holds no certificate in PEM form"),
        ("folder", "must be a file"),
        ("pipe", "must be a file"),
        ("mixed", "is not the certificate of this key"),
        ("locked", "its key without a password"),
        ("keyless", "its key without a password"),
        ("alone", "Is needed beside"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    authority: Authority, tmp_path: Path, field: str, told: str
) -> None:
    certificate, key = authority.issue("one")
    _, other_key = authority.issue("other")
    locked = write_key(tmp_path / "locked.pem", ec.generate_private_key(ec.SECP256R1()), b"pass")
    (tmp_path / "empty.pem").touch()
    os.mkfifo(tmp_path / "pipe")
    files = {
        "missing": TlsFiles(str(tmp_path / "no.pem")),
        "relative": TlsFiles("own-ca.pem"),
        "empty": TlsFiles(str(tmp_path / "empty.pem")),
        "folder": TlsFiles(str(tmp_path)),
        "pipe": TlsFiles(str(tmp_path / "pipe")),
        "mixed": TlsFiles("", str(certificate), str(other_key)),
        "locked": TlsFiles("", str(certificate), str(locked)),
        "keyless": TlsFiles("", str(certificate)),
        "alone": TlsFiles("", "", str(key)),
    }
    with pytest.raises(TlsFileError, match=told):
        load_tls_context(files[field])


async def test_a_renewed_certificate_is_loaded_and_a_broken_one_is_not(
    upstream: HttpUpstream,
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(tls, "RECHECK_SECONDS", 0.0)
    other = Authority(tmp_path, "other")
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(other.file.read_bytes())
    async with running_server(serve_as(authority, "127.0.0.1")) as (port, _):
        endpoint = target(
            f"https://127.0.0.1:{port}/v1", allow_private=True, tls_files=TlsFiles(str(trusted))
        )
        with pytest.raises(UpstreamUnreachable):
            await ask(upstream, endpoint)
        trusted.write_bytes(authority.file.read_bytes() + b"\n")
        assert await ask(upstream, endpoint) == 200
        trusted.write_bytes(b"half of it")
        assert await ask(upstream, endpoint) == 200
        assert "stays as it was loaded before" in caplog.text
        trusted.unlink()
        assert await ask(upstream, endpoint) == 200


async def test_a_file_that_went_missing_is_named_in_the_log_and_not_to_clients(
    upstream: HttpUpstream, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gone = str(tmp_path / "gone.pem")
    with pytest.raises(UpstreamUnreachable, match="certificate file") as caught:
        await ask(upstream, target("https://127.0.0.1:9/v1", tls_files=TlsFiles(gone)))
    assert gone not in str(caught.value)
    assert gone in caplog.text
