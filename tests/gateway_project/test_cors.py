"""Pages of other origins: which are let in, what their browsers are told, and who hears nothing."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest
from pytest_django import Settings

from gateway_project.checks import deployment
from gateway_project.cors import allow_origins, describe_origin_fault, select_requested_headers

PAGE, OTHER = b"https://app.example.org", b"https://evil.example.org"
Message = MutableMapping[str, Any]


async def answer_plainly(scope: Message, receive: Any, send: Any) -> None:
    """An application with two headers of its own."""
    headers = [(b"content-type", b"application/json"), (b"x-tokenthrift-cache", b"exact")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


def ask(origins: list[str], *headers: tuple[bytes, bytes], method: str = "POST") -> Message:
    """The start of the response to one request."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def run() -> None:
        scope = {"type": "http", "method": method, "path": "/v1/models", "headers": [*headers]}
        await allow_origins(answer_plainly, origins)(scope, receive, send)

    asyncio.run(run())
    start = sent[0]
    return {"status": start["status"], "headers": dict(start["headers"])}


def test_without_origins_the_application_is_the_same_object() -> None:
    assert allow_origins(answer_plainly, []) is answer_plainly


def test_a_listed_page_may_read_the_answer_and_all_of_its_headers() -> None:
    headers = ask([PAGE.decode(), "http://localhost:5173"], (b"origin", PAGE))["headers"]
    assert headers[b"access-control-allow-origin"] == PAGE
    assert headers[b"access-control-expose-headers"] == b"content-type, x-tokenthrift-cache"
    assert headers[b"vary"] == b"Origin"
    assert b"access-control-allow-credentials" not in headers


@pytest.mark.parametrize("headers", [[], [(b"origin", OTHER)], [(b"origin", PAGE.upper())]])
def test_nobody_else_is_told_anything(headers: list[tuple[bytes, bytes]]) -> None:
    found = ask([PAGE.decode()], *headers)["headers"]
    assert not [name for name in found if name.startswith(b"access-control")]
    assert found[b"vary"] == b"Origin"  # or a cache could give this answer to the page


def test_a_preflight_of_another_page_reaches_the_application() -> None:
    asked = (b"access-control-request-method", b"POST")
    assert ask([PAGE.decode()], (b"origin", OTHER), asked, method="OPTIONS")["status"] == 200
    assert ask([PAGE.decode()], (b"origin", PAGE), method="OPTIONS")["status"] == 200


def test_a_star_is_for_every_page_and_says_the_same_to_all() -> None:
    for headers in ([], [(b"origin", OTHER)], [(b"origin", b"null")]):
        found = ask(["*"], *headers)["headers"]
        assert found[b"access-control-allow-origin"] == b"*"
        assert b"vary" not in found


def test_a_preflight_is_answered_with_what_it_asks_for() -> None:
    found = ask(
        ["*"],
        (b"origin", PAGE),
        (b"access-control-request-method", b"POST"),
        (b"access-control-request-headers", b"authorization,content-type,x-stainless-lang"),
        method="OPTIONS",
    )
    assert found["status"] == 204
    headers = found["headers"]
    assert headers[b"access-control-allow-origin"] == b"*"
    assert headers[b"access-control-allow-methods"] == b"GET, HEAD, POST"
    assert (
        headers[b"access-control-allow-headers"] == b"authorization, content-type, x-stainless-lang"
    )
    assert headers[b"access-control-max-age"] == b"7200"
    assert headers[b"x-request-id"]


@pytest.mark.parametrize(
    "requested",
    [
        b"",
        b"authorization,",
        b"authorization, x y",
        b"x-ok, x:bad",
        b"x-ok\r\nset-cookie: a=b",
        "x-é".encode("latin-1"),
        b",".join([b"x"] * 65),
        b"x" * 4097,
    ],
)
def test_names_that_are_none_or_too_many_are_not_repeated(requested: bytes) -> None:
    assert select_requested_headers(requested) == b""


def test_as_many_names_as_an_sdk_sends_are_repeated() -> None:
    names = [b"x-stainless-%d" % number for number in range(64)]
    assert select_requested_headers(b",".join(names)) == b", ".join(names)


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.org",
        "http://localhost:5173",
        "http://127.0.0.1:8080",
        "http://[::1]:3000",
        "https://xn--bcher-kva.example",
        "chrome-extension://abcdefghijklmnop",
        "tauri://localhost",
        "http://app.example.org:443",
    ],
)
def test_origins_as_browsers_write_them_are_accepted(settings: Settings, origin: str) -> None:
    settings.CORS_ORIGINS = [origin]
    assert deployment.check_cors_origins(None) == []


@pytest.mark.parametrize(
    ("origin", "fault"),
    [
        ("null", "every sandboxed page"),
        ("app.example.org", "no scheme"),
        ("localhost:5173", "no scheme"),
        ("://app.example.org", "no scheme"),
        ("https://app.example.org/", "a path"),
        ("https://app.example.org/chat", "a path"),
        ("https://app.example.org?x=1", "a path"),
        ("https://*.example.org", "a wildcard"),
        ("https://App.example.org", "lower case"),
        ("https://app.example.org:443", "browsers leave out"),
        ("http://app.example.org:80", "browsers leave out"),
        ("https://user@app.example.org", "is no origin"),
        ("https://bücher.example", "is no origin"),
        ("https://app.example.org https://b.example.org", "a path"),
        ("https://a.example\nx", "is no origin"),
        ("https://", "is no origin"),
    ],
)
def test_other_origins_are_refused_with_the_reason_and_what_is_accepted(
    settings: Settings, origin: str, fault: str
) -> None:
    assert fault in describe_origin_fault(origin)
    settings.CORS_ORIGINS = ["https://ok.example.org", origin]
    (found,) = deployment.check_cors_origins(None)
    assert found.id == "tokenthrift.E009"
    assert origin in found.msg
    assert fault in found.msg
    assert "https://app.example.org" in (found.hint or "")


def test_a_star_stands_alone(settings: Settings) -> None:
    settings.CORS_ORIGINS = ["*"]
    assert deployment.check_cors_origins(None) == []
    settings.CORS_ORIGINS = ["*", "https://app.example.org"]
    (found,) = deployment.check_cors_origins(None)
    assert "beside" in found.msg
