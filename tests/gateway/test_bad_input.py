"""Whatever a client sends, it gets a 4xx error object, never a 500,
and nothing is stored or sent upstream."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import orjson
import pytest

from tests.support.gateways import ROUTE, Gateway, running_gateway
from tests.support.upstream import MockUpstream

GOOD = orjson.dumps({"model": ROUTE, "messages": [{"role": "user", "content": "x"}]})


def with_content(escaped: bytes) -> bytes:
    return (
        b'{"model": "smart/balanced", "messages": [{"role": "user", "content": "'
        + escaped
        + b'"}]}'
    )


BAD = {
    "nothing": (b"", 400),
    "no JSON": (b"{", 400),
    "an array": (b"[]", 400),
    "NaN": (GOOD[:-1] + b',"seed":NaN}', 400),
    "a key twice": (GOOD[:-1] + b',"model":"gpt-4o"}', 400),
    "a key twice, escaped": (GOOD[:-1] + rb',"mod\u0065l":"gpt-4o"}', 400),
    "NUL in a field of ours": (GOOD[:-1] + rb',"cache":{"namespace":"a\u0000b"}}', 400),
    "a lone surrogate": (with_content(rb"\ud83d"), 400),
    "bytes that are no UTF-8": (with_content(b"\xff\xfe"), 400),
    "wrong types": (orjson.dumps({"model": ROUTE, "messages": {"role": "user"}}), 400),
    "65 levels": (GOOD[:-1] + b',"x":' + b"[" * 65 + b"]" * 65 + b"}", 400),
    "100,000 levels": (GOOD[:-1] + b',"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
    "an unknown model": (
        orjson.dumps({"model": "gpt-99", "messages": [{"role": "user", "content": "x"}]}),
        404,
    ),
    "a bad cache field": (orjson.dumps({**orjson.loads(GOOD), "cache": {"no-stare": True}}), 400),
    "an address of its own": (
        orjson.dumps({**orjson.loads(GOOD), "base_url": "http://127.0.0.1"}),
        400,
    ),
    "over the limit": (with_content(b"x" * 300_000), 413),
}


@pytest.fixture(scope="module")
def gateway(upstream: MockUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(
        upstream, tmp_path_factory.mktemp("bad"), TOKENTHRIFT_MAX_BODY_BYTES="300000"
    ) as running:
        yield running


def post(
    gateway: Gateway, body: bytes, path: str = "/v1/chat/completions", **headers: str
) -> httpx.Response:
    return httpx.post(
        f"{gateway.url}{path}",
        content=body,
        headers={"authorization": f"Bearer {gateway.virtual_key}"} | headers,
        timeout=30,
    )


def check_error(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("case", BAD)
def test_bad_bodies_are_refused_with_an_error_object(
    gateway: Gateway, upstream: MockUpstream, case: str
) -> None:
    calls = len(upstream.requests)
    body, status = BAD[case]
    check_error(post(gateway, body), status)
    assert len(upstream.requests) == calls


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer sk-1", "Basic dTpw", "Bearer tt-" + "x" * 43, "Bearer \xff"]
)
def test_a_wrong_key_is_401_before_the_body_is_looked_at(gateway: Gateway, header: str) -> None:
    answer = httpx.post(
        f"{gateway.url}/v1/chat/completions",
        content=b"{",
        headers={b"authorization": header.encode("latin-1")},
    )
    check_error(answer, 401)
    assert answer.json()["error"]["code"] == "invalid_api_key"


def test_an_admin_key_does_not_open_v1_nor_a_virtual_key_the_plans(gateway: Gateway) -> None:
    assert gateway.chat(key=gateway.admin_key).status_code == 401
    headers = {"authorization": f"Bearer {gateway.virtual_key}"}
    assert httpx.get(f"{gateway.url}/token-saving/plans", headers=headers).status_code == 401


def test_every_reply_has_a_request_id(gateway: Gateway) -> None:
    for path in ("/livez", "/token-saving/plans", "/no/such/page", "/admin/login/", "/v1/models"):
        assert len(httpx.get(f"{gateway.url}{path}").headers["x-request-id"]) == 36


@pytest.mark.parametrize(
    "path", ["/v1/responses", "/v1/messages", "/v1/embeddings", "/v1/completions", "/v1/", "/v1/x"]
)
def test_paths_to_come_are_a_clear_404(gateway: Gateway, path: str) -> None:
    check_error(post(gateway, GOOD, path), 404)


def test_other_methods_are_405(gateway: Gateway) -> None:
    check_error(httpx.get(f"{gateway.url}/v1/chat/completions"), 405)
    check_error(httpx.delete(f"{gateway.url}/v1/models"), 405)


def test_both_forms_of_a_path_answer(gateway: Gateway) -> None:
    assert post(gateway, GOOD, "/v1/chat/completions/").status_code == 200
    assert [model.id for model in gateway.sdk.models.list()] == [ROUTE]
    assert gateway.sdk.models.retrieve(ROUTE).id == ROUTE


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/token-saving/plans", "/admin/login/"])
def test_an_announced_giant_is_refused_unread(gateway: Gateway, path: str) -> None:
    check_error(post(gateway, b"x" * 400_000, path), 413)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/token-saving/plans"])
def test_an_endless_upload_is_cut_off_at_the_limit(gateway: Gateway, path: str) -> None:
    address = urlsplit(gateway.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=10) as line:
        head = (
            f"POST {path} HTTP/1.1",
            "Host: localhost",
            f"Authorization: Bearer {gateway.virtual_key}",
            "Transfer-Encoding: chunked",
        )
        line.sendall("\r\n".join([*head, "", ""]).encode())
        sent, answer = 0, b""
        while sent < 2_000_000 and not answer:
            try:
                line.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                sent += 4096
                line.settimeout(0.0001)
                answer = line.recv(4096)
            except (TimeoutError, BlockingIOError):
                line.settimeout(10)
            except (ConnectionError, BrokenPipeError):
                break
        assert sent < 2_000_000
        assert answer.startswith(b"HTTP/1.1 413")


def test_the_gateway_still_works_and_counted_no_fault(gateway: Gateway) -> None:
    assert post(gateway, GOOD).status_code == 200
    metrics = gateway.api("GET", "/metrics").text
    assert 'status="500"' not in metrics
