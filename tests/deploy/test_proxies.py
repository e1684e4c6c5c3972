"""Each example of deploy/proxies in front of a real gateway: TLS, a path prefix, streams, sockets,
limits, and whose address and word counts. Proxies that are not installed are skipped.
"""

import gzip
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import psycopg
import pytest
import yaml
from openai import DefaultHttpxClient, OpenAI
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from gateway_project.settings import MAX_BODY_BYTES as LIMIT
from proxy.core.errors import BodyTooLarge
from tests.support.gateways import ROUTE, Gateway, running_gateway
from tests.support.proxies import (
    CERTIFICATES,
    EXAMPLES,
    FILES,
    GATEWAY_ADDRESS,
    PREFIX,
    ReverseProxy,
    running_proxy,
)
from tests.support.upstream import MockUpstream, completion

BODY = {"model": ROUTE, "messages": [{"role": "user", "content": "How do I pay?"}]}
# What makes the example treat the prefix in the other way: strip it, or leave it.
OTHER_WAY = {
    "nginx": {"proxy_pass http://tokenthrift;": "proxy_pass http://tokenthrift/;"},
    "caddy": {"handle_path": "handle"},
    "haproxy": {"http-request replace-path ^/llm/(.*) /\\1": ""},
    "apache2": {"127.0.0.1:8000/llm": "127.0.0.1:8000"},
}
PAGE = "https://app.example.org"  # a web page that may call the API
FORGED = {
    "x-forwarded-prefix": "/forged",
    "x-forwarded-for": "198.51.100.7",
    "x-forwarded-proto": "http",
}


@pytest.fixture(scope="module")
def gateway(upstream: MockUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """As behind TLS: what does not say that it came over https is sent there."""
    folder = tmp_path_factory.mktemp("behind")
    with running_gateway(
        upstream, folder, TOKENTHRIFT_HTTPS="yes", TOKENTHRIFT_CORS_ORIGINS=PAGE
    ) as running:
        yield running


@pytest.fixture(scope="module", params=FILES)
def proxy(
    request: pytest.FixtureRequest, gateway: Gateway, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ReverseProxy]:
    folder = tmp_path_factory.mktemp(request.param)
    with running_proxy(request.param, gateway.url, folder) as running:
        yield running


@pytest.fixture(autouse=True)
def fresh(upstream: MockUpstream) -> None:
    upstream.forget()


@pytest.fixture
def key(gateway: Gateway) -> dict[str, str]:
    return {"authorization": f"Bearer {gateway.virtual_key}"}


@pytest.fixture
def client(proxy: ReverseProxy) -> Iterator[httpx.Client]:
    """From an address that is no trusted proxy's."""
    transport = httpx.HTTPTransport(verify=proxy.tls, local_address="127.0.0.2")
    with httpx.Client(base_url=proxy.url, transport=transport, timeout=60) as opened:
        yield opened


def log_in(client: httpx.Client, password: str, **headers: str) -> httpx.Response:
    page = client.get("/admin/login/", headers=headers)
    assert page.status_code == 200, page.text
    token = page.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    form = {"username": "admin", "password": password, "csrfmiddlewaretoken": token}
    referer = {"referer": str(page.url)}
    return client.post("/admin/login/", data=form, headers=headers | referer)


def read_number(socket: ClientConnection) -> int:
    return int(json.loads(socket.recv(timeout=20))["number"])


def test_chat_is_answered(proxy: ReverseProxy, gateway: Gateway) -> None:
    with DefaultHttpxClient(verify=proxy.tls) as http:
        sdk = OpenAI(
            base_url=f"{proxy.url}/v1",
            api_key=gateway.virtual_key,
            max_retries=0,
            http_client=http,
        )
        reply = sdk.chat.completions.create(
            model=ROUTE, messages=[{"role": "user", "content": "?"}]
        )
        assert reply.choices[0].message.content == "Pay by card."
        assert [model.id for model in sdk.models.list()] == [ROUTE]


def test_a_stream_arrives_event_by_event(
    client: httpx.Client, key: dict[str, str], upstream: MockUpstream
) -> None:
    upstream.says = completion("One word after the other. " * 4)
    upstream.pause = 0.25
    arrivals: list[float] = []
    begun = time.monotonic()
    with client.stream(
        "POST", "/v1/chat/completions", json=BODY | {"stream": True}, headers=key
    ) as reply:
        assert reply.status_code == 200
        text = b""
        for part in reply.iter_raw():
            arrivals.append(time.monotonic() - begun)
            text += part
    assert text.endswith(b"data: [DONE]\n\n")
    assert len(arrivals) >= 4
    assert arrivals[-1] - arrivals[0] > 2 * upstream.pause
    assert arrivals[0] < arrivals[-1] / 2


def wait_cancelled(upstream: MockUpstream) -> None:
    deadline = time.monotonic() + 5
    while not upstream.cancelled and time.monotonic() < deadline:
        time.sleep(0.05)
    assert upstream.cancelled == 1


def test_a_client_that_leaves_ends_the_call_to_the_provider(
    client: httpx.Client, key: dict[str, str], upstream: MockUpstream
) -> None:
    upstream.says = completion("One word after the other. " * 40)
    upstream.pause = 0.2
    with client.stream(
        "POST", "/v1/chat/completions", json=BODY | {"stream": True}, headers=key
    ) as reply:
        next(reply.iter_raw())
    wait_cancelled(upstream)


def test_so_does_one_that_leaves_while_the_model_thinks(
    proxy: ReverseProxy, client: httpx.Client, key: dict[str, str], upstream: MockUpstream
) -> None:
    if proxy.program == "apache2":
        pytest.skip("Apache looks at the client only when it has something to write")
    upstream.pause = 8.0
    with pytest.raises(httpx.ReadTimeout):
        client.post("/v1/chat/completions", json=BODY, headers=key, timeout=0.5)
    wait_cancelled(upstream)


def test_a_packed_body_is_read(
    client: httpx.Client, key: dict[str, str], upstream: MockUpstream
) -> None:
    headers = key | {"content-encoding": "gzip", "content-type": "application/json"}
    packed = gzip.compress(orjson.dumps(BODY))
    answer = client.post("/v1/chat/completions", content=packed, headers=headers)
    assert answer.status_code == 200, answer.text
    assert upstream.requests[-1]["messages"] == BODY["messages"]


def test_a_body_as_large_as_the_gateway_takes_passes(
    client: httpx.Client, key: dict[str, str]
) -> None:
    headers = key | {"content-type": "application/json"}
    body = orjson.dumps(BODY).ljust(LIMIT)
    answer = client.post("/v1/chat/completions", content=body, headers=headers)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "in chunks"])
def test_a_larger_body_is_refused_with_our_error(
    client: httpx.Client, key: dict[str, str], announced: bool
) -> None:
    headers = key | {"content-type": "application/json"}
    body = orjson.dumps(BODY).ljust(LIMIT + 1)
    pieces = (body[at : at + 65536] for at in range(0, len(body), 65536))
    answer = client.post(
        "/v1/chat/completions", content=body if announced else pieces, headers=headers
    )
    assert answer.status_code == 413
    assert answer.headers["content-type"].startswith("application/json")
    expected = BodyTooLarge(f"The body is larger than the {LIMIT} bytes accepted.").error_object()
    found = answer.json()
    # The gateway itself says how large it is, where the proxy lets it say so.
    found["error"]["message"] = re.sub(
        rf"^The body is {LIMIT + 1} bytes; at most {LIMIT} are accepted\.$",
        f"The body is larger than the {LIMIT} bytes accepted.",
        found["error"]["message"],
    )
    assert found == json.loads(orjson.dumps(expected))


def test_pages_and_their_files_are_below_the_prefix(client: httpx.Client, gateway: Gateway) -> None:
    page = client.get("/admin/login/")
    links = set(re.findall(r'(?:href|src)="(/[^"]*)"', page.text))
    assert {link for link in links if not link.startswith(f"{PREFIX}/")} == set()
    files = [link for link in links if link.startswith(f"{PREFIX}/static/")]
    assert files
    for link in files:
        file = client.get(link.removeprefix(PREFIX))
        assert file.status_code == 200, link
        assert file.headers["content-type"].startswith(("text/css", "text/javascript", "image/"))
    done = log_in(client, gateway.password)
    assert (done.status_code, done.headers["location"]) == (302, f"{PREFIX}/dashboard")
    for cookie in done.headers.get_list("set-cookie"):
        assert f"; Path={PREFIX};" in cookie
        assert "; Secure" in cookie
    dashboard = client.get("/dashboard/")
    assert dashboard.status_code == 200
    assert f'data-live="{PREFIX}/dashboard/live"' in dashboard.text
    assert client.get("/api/docs").status_code == 200
    assert client.get("/api/schema?format=json").json()["servers"] == [{"url": PREFIX}]


def test_the_bare_prefix_leads_to_the_dashboard(proxy: ReverseProxy) -> None:
    with httpx.Client(verify=proxy.tls, follow_redirects=True) as browser:
        found = browser.get(proxy.url)
        assert found.status_code == 200
        assert str(found.url) == f"{proxy.url}/admin/login/?next={PREFIX}/dashboard/"


def test_the_dashboards_socket_opens(
    proxy: ReverseProxy, client: httpx.Client, gateway: Gateway
) -> None:
    assert log_in(client, gateway.password).status_code == 302
    cookie = f"tokenthrift_session={client.cookies['tokenthrift_session']}"
    address = proxy.url.replace("https", "wss") + "/dashboard/live"
    headers = {"cookie": cookie, "origin": proxy.origin}
    with connect(address, additional_headers=headers, ssl=proxy.tls, proxy=None) as opened:
        first = read_number(opened)
        assert gateway.chat().status_code == 200
        deadline = time.monotonic() + 30  # on a busy machine; two seconds are promised
        while read_number(opened) <= first:  # a heartbeat says the same again
            assert time.monotonic() < deadline
    headers["origin"] = "https://evil.example"
    with pytest.raises(InvalidStatus, match="403"):
        connect(address, additional_headers=headers, ssl=proxy.tls, proxy=None)


def test_a_wrong_base_url_names_the_one_that_clients_reach(
    proxy: ReverseProxy, client: httpx.Client, key: dict[str, str]
) -> None:
    for path in ("/chat/completions", "/v1/files", "/no/such/thing"):
        answer = client.post(path, json=BODY, headers=key)
        assert answer.status_code == 404
        assert f"{proxy.url}/v1:" in answer.json()["error"]["message"]


def test_the_clients_own_word_on_where_it_is_counts_nothing(
    client: httpx.Client, gateway: Gateway
) -> None:
    answer = client.get("/", headers=FORGED)
    assert (answer.status_code, answer.headers["location"]) == (302, f"{PREFIX}/dashboard/")
    assert log_in(client, "wrong", **FORGED).status_code == 200
    query = "SELECT ip_address FROM axes_accessattempt ORDER BY id DESC LIMIT 1"
    with psycopg.connect(gateway.environment["DATABASE_URL"]) as database:
        row = database.execute(query).fetchone()
        database.execute("DELETE FROM axes_accessattempt")
    assert row is not None
    assert str(row[0]).removesuffix("/32") == "127.0.0.2"


def test_by_http_1_0_an_answer_ends_with_the_connection(
    proxy: ReverseProxy, key: dict[str, str]
) -> None:
    body = orjson.dumps(BODY)
    head = (
        f"POST {PREFIX}/v1/chat/completions HTTP/1.0\r\nHost: localhost\r\n"
        f"Authorization: {key['authorization']}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    port = httpx.URL(proxy.url).port or 0
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as line,
        proxy.tls.wrap_socket(line, server_hostname="localhost") as secured,
    ):
        secured.sendall(head.encode() + body)
        answer = b""
        while data := secured.recv(65536):
            answer += data
    assert b" 200 " in answer.partition(b"\r\n")[0]
    assert b"transfer-encoding" not in answer.lower()
    assert b"Pay by card." in answer


def test_a_page_of_another_origin_is_let_in(client: httpx.Client, key: dict[str, str]) -> None:
    asked = {
        "origin": PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    preflight = client.options("/v1/chat/completions", headers=asked)
    answer = client.post("/v1/chat/completions", json=BODY, headers=key | {"origin": PAGE})
    assert (preflight.status_code, answer.status_code) == (204, 200)
    for response in (preflight, answer):
        assert response.headers["access-control-allow-origin"] == PAGE
    assert preflight.headers["access-control-allow-headers"] == "authorization"


def test_nginx_as_it_comes_speaks_http_1_0_and_streams_all_the_same(
    gateway: Gateway, upstream: MockUpstream, tmp_path: Path, key: dict[str, str]
) -> None:
    upstream.says, upstream.pause = completion("One word after the other. " * 4), 0.25
    plain = {"proxy_http_version 1.1;": "", "$tokenthrift_connection;": "close;"}
    arrivals: list[float] = []
    with (
        running_proxy("nginx", gateway.url, tmp_path, changes=plain) as proxy,
        httpx.Client(base_url=proxy.url, verify=proxy.tls, timeout=60) as client,
        client.stream(
            "POST", "/v1/chat/completions", json=BODY | {"stream": True}, headers=key
        ) as reply,
    ):
        arrivals.extend(time.monotonic() for _ in reply.iter_raw())
    assert arrivals[-1] - arrivals[0] > 2 * upstream.pause


@pytest.mark.parametrize("program", FILES)
def test_a_prefix_that_the_proxy_treats_in_the_other_way_is_served_alike(
    program: str, gateway: Gateway, tmp_path: Path, key: dict[str, str]
) -> None:
    changes = OTHER_WAY[program]
    with (
        running_proxy(program, gateway.url, tmp_path, changes=changes) as proxy,
        httpx.Client(base_url=proxy.url, verify=proxy.tls, timeout=60) as client,
    ):
        assert client.post("/v1/chat/completions", json=BODY, headers=key).status_code == 200
        assert client.get("/").headers["location"] == f"{PREFIX}/dashboard/"
        assert log_in(client, gateway.password).status_code == 302
        assert client.get("/dashboard/").status_code == 200
        wrong = client.post("/chat/completions", json=BODY, headers=key)
        assert f"{proxy.url}/v1:" in wrong.json()["error"]["message"]
        cookie = f"tokenthrift_session={client.cookies['tokenthrift_session']}"
        with connect(
            proxy.url.replace("https", "wss") + "/dashboard/live",
            additional_headers={"cookie": cookie, "origin": proxy.origin},
            ssl=proxy.tls,
            proxy=None,
        ) as opened:
            assert read_number(opened) >= 0


@pytest.mark.parametrize("program", FILES)
def test_the_examples_timeout_is_what_ends_a_model_that_thinks_too_long(
    program: str, gateway: Gateway, upstream: MockUpstream, tmp_path: Path, key: dict[str, str]
) -> None:
    text = (EXAMPLES / FILES[program]).read_text()
    (longest,) = set(re.findall(r"600s|timeout=600", text))
    shorter = longest.replace("600", "1")
    with running_proxy(program, gateway.url, tmp_path, changes={longest: shorter}) as proxy:
        upstream.pause = 3.0
        begun = time.monotonic()
        answer = httpx.post(
            f"{proxy.url}/v1/chat/completions", json=BODY, headers=key, verify=proxy.tls, timeout=60
        )
        assert answer.status_code in (502, 504)
        assert time.monotonic() - begun < 2.8


def test_traefiks_example_says_what_the_others_do() -> None:
    """Debian has no Traefik: the names are held against its reference, no more."""
    static, dynamic = yaml.safe_load_all((EXAMPLES / "traefik.yaml").read_text())
    assert set(static) == {"entryPoints", "providers"}
    (entry,) = static["entryPoints"].values()
    assert set(entry) == {"address", "transport"}  # nobody's X-Forwarded-* is believed
    assert entry["transport"]["respondingTimeouts"] == {
        "readTimeout": "600s",
        "writeTimeout": "0s",
        "idleTimeout": "180s",
    }
    assert set(dynamic) == {"http", "tls"}
    http: dict[str, Any] = dynamic["http"]
    assert set(http) == {"routers", "middlewares", "services", "serversTransports"}
    (router,) = http["routers"].values()
    assert set(router) == {"rule", "entryPoints", "middlewares", "service", "tls"}
    assert router["entryPoints"] == list(static["entryPoints"])
    assert f"Path(`{PREFIX}`) || PathPrefix(`{PREFIX}/`)" in router["rule"]
    # No `buffering`: it gathers streams.
    assert [http["middlewares"][name] for name in router["middlewares"]] == [
        {"stripPrefix": {"prefixes": [PREFIX]}}
    ]
    balancer = http["services"][router["service"]]["loadBalancer"]
    assert balancer["servers"] == [{"url": f"http://{GATEWAY_ADDRESS}"}]
    assert balancer["passHostHeader"] is True
    timeouts = http["serversTransports"][balancer["serversTransport"]]["forwardingTimeouts"]
    assert timeouts == {"responseHeaderTimeout": "600s", "idleConnTimeout": "60s"}
    assert dynamic["tls"]["certificates"] == [
        {"certFile": f"{CERTIFICATES}/fullchain.pem", "keyFile": f"{CERTIFICATES}/key.pem"}
    ]
