"""How clients and proxies reach the gateway: packed bodies, streams behind nginx,
wrong addresses."""

import gzip
import zlib

import httpx
import orjson
import pytest
import zstandard

from tests.support.gateways import ROUTE, Gateway
from tests.support.upstream import MockUpstream

BODY = orjson.dumps({"model": ROUTE, "messages": [{"role": "user", "content": "How do I pay?"}]})
PACKED = {
    "gzip": gzip.compress(BODY),
    "deflate": zlib.compress(BODY),
    "zstd": zstandard.compress(BODY),
}
LIMIT = 16 * 1024 * 1024


def post(
    gateway: Gateway, body: bytes, path: str = "/v1/chat/completions", **headers: str
) -> httpx.Response:
    headers = {
        "authorization": f"Bearer {gateway.virtual_key}",
        "content-type": "application/json",
    } | headers
    return httpx.post(f"{gateway.url}{path}", content=body, headers=headers, timeout=60)


@pytest.mark.parametrize("encoding", PACKED)
def test_a_packed_body_is_read(gateway: Gateway, upstream: MockUpstream, encoding: str) -> None:
    answer = post(gateway, PACKED[encoding], **{"content-encoding": encoding})
    assert answer.status_code == 200, answer.text
    assert upstream.requests[-1]["messages"] == orjson.loads(BODY)["messages"]


def test_another_encoding_is_415_and_says_what_is_read(gateway: Gateway) -> None:
    answer = post(gateway, BODY, **{"content-encoding": "br"})
    assert answer.status_code == 415
    assert answer.json()["error"]["code"] == "unsupported_content_encoding"
    assert answer.headers["accept-encoding"] == "gzip, deflate, zstd"


@pytest.mark.parametrize("encoding", PACKED)
def test_a_bomb_is_413(gateway: Gateway, encoding: str) -> None:
    zeros = bytes(LIMIT + 1)
    packed = {
        "gzip": gzip.compress(zeros),
        "deflate": zlib.compress(zeros),
        "zstd": zstandard.compress(zeros),
    }[encoding]
    answer = post(gateway, packed, **{"content-encoding": encoding})
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "request_too_large"


@pytest.mark.parametrize("encoding", PACKED)
def test_a_packed_body_that_was_cut_is_400_and_names_its_header(
    gateway: Gateway, encoding: str
) -> None:
    answer = post(gateway, PACKED[encoding][:-1], **{"content-encoding": encoding})
    assert answer.status_code == 400
    assert f"not {encoding}, as its Content-Encoding says" in answer.json()["error"]["message"]


def test_streams_ask_nginx_not_to_gather_them(gateway: Gateway) -> None:
    streamed = post(gateway, orjson.dumps(orjson.loads(BODY) | {"stream": True}))
    assert streamed.headers["x-accel-buffering"] == "no"
    assert "x-accel-buffering" not in post(gateway, BODY).headers


def test_no_reply_under_v1_is_guessed_at(gateway: Gateway) -> None:
    for answer in (
        post(gateway, BODY),
        post(gateway, b"{"),
        post(gateway, BODY, "/v1/x"),
        httpx.get(f"{gateway.url}/v1/models"),
    ):
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/chat/completions",
        "/v1",
        "/v1/",
        "//v1/chat/completions",
        "/v1//chat/completions",
        "/v1/v1/chat/completions",
        "/api/v1/chat/completions",
        "/openai/deployments/smart/chat/completions?api-version=2024-10-21",
        "/openai/v1/chat/completions",
        "/v1beta/openai/chat/completions",
        "/v1beta/models",
        "/api/chat",
        "/responses",
        "/v1/responses",
        "/embeddings",
        "/v1/messages",
        "/models",
        "/",
        "//",
        "/v1/files",
        "/openai/v1/files",
        "/proxy/v1/assistants/7",
    ],
)
def test_a_wrong_address_names_the_right_one(gateway: Gateway, path: str) -> None:
    for answer in (
        post(gateway, BODY, path),
        post(gateway, BODY, path, host="gateway.example.org:8443"),
    ):
        assert answer.status_code == 404, answer.text
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-request-id"]
        assert answer.json()["error"]["code"] == "unknown_url"
        assert f"http://{answer.request.headers['host']}/v1:" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/chat/completions", "/v1/files", "/v1", "/"])
def test_behind_a_proxy_the_right_address_is_the_one_clients_see(
    gateway: Gateway, path: str
) -> None:
    forwarded = {"host": "gateway.example.org", "x-forwarded-proto": "https"}
    for headers, base in (
        (forwarded, "https://gateway.example.org/v1:"),
        (forwarded | {"x-forwarded-proto": "x"}, "http://gateway.example.org/v1:"),
    ):
        answer = post(gateway, BODY, path, **headers)
        assert answer.status_code == 404
        assert base in answer.json()["error"]["message"]


def test_no_other_address_says_what_the_scheme_is(gateway: Gateway) -> None:
    headers = {"x-forwarded-proto": "https"}
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2")) as client:
        answer = client.post(f"{gateway.url}/chat/completions", json={}, headers=headers)
    assert f"{gateway.url}/v1:" in answer.json()["error"]["message"]


def test_the_first_page_is_still_there(gateway: Gateway) -> None:
    answer = httpx.get(f"{gateway.url}/")
    assert answer.status_code == 302
    assert answer.headers["location"] == "/dashboard/"


def test_a_host_that_is_none_is_not_repeated(gateway: Gateway) -> None:
    says = post(gateway, BODY, "/chat/completions", host='x"<script>').json()["error"]["message"]
    assert "script" not in says
    assert "/v1" in says


def test_what_is_sent_elsewhere_is_answered_in_json_and_pages_stay_pages(gateway: Gateway) -> None:
    for path in ("/no/such/thing", "/v2/chat"):
        answer = post(gateway, BODY, path)
        assert answer.status_code == 404, path
        assert f"{gateway.url}/v1:" in answer.json()["error"]["message"]
    for path in ("/no/such/page", "/admin/v1/", "/dashboard/v1"):
        assert "<html" in httpx.get(f"{gateway.url}{path}", follow_redirects=True).text, path
    assert httpx.get(f"{gateway.url}/livez").status_code == 200


def test_the_schema_is_the_same_again_in_each_format(gateway: Gateway) -> None:
    for kind, begins in (("json", b"{"), ("yaml", b"openapi:")):
        first, again = (
            httpx.get(f"{gateway.url}/api/schema?format={kind}", timeout=30) for _ in range(2)
        )
        assert first.status_code == 200
        assert first.content.startswith(begins)
        assert first.content == again.content
        assert first.headers["content-type"] == again.headers["content-type"]
    assert httpx.get(f"{gateway.url}/api/schema").json()["openapi"]


def test_after_logging_in_there_is_a_page(gateway: Gateway) -> None:
    with httpx.Client(base_url=gateway.url) as client:
        page = client.get("/admin/login/?next=https://elsewhere.example/")
        token = page.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        form = {
            "username": "admin",
            "password": gateway.password,
            "csrfmiddlewaretoken": token,
            "next": "https://elsewhere.example/",
        }
        done = client.post("/admin/login/", data=form, headers={"referer": gateway.url})
        assert done.status_code == 302
        assert client.get(done.headers["location"], follow_redirects=True).status_code == 200
