"""What one client may take of a worker: bytes and headers of a head, time for head,
body and answer, connections, requests at a time."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import httpx
import orjson
import pytest

from gateway_project.serving.connection import _has_valid_port, _normalize_address
from tests.support.gateways import ROUTE, Gateway, running_gateway
from tests.support.upstream import MockUpstream, completion

HEAD, BODY, UNREAD = 2.0, 3.0, 2.0  # seconds, as set below
LOOSE = 20.0
CONNECTIONS, REQUESTS = 40, 3


@pytest.fixture(scope="module", params=[1, 2], ids=["one worker", "two workers"])
def gateway(
    request: pytest.FixtureRequest, upstream: MockUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    settings = {
        "TOKENTHRIFT_HEAD_TIMEOUT": str(HEAD),
        "TOKENTHRIFT_BODY_TIMEOUT": str(BODY),
        "TOKENTHRIFT_UNREAD_TIMEOUT": str(UNREAD),
        "TOKENTHRIFT_CONNECTIONS_PER_ADDRESS": str(CONNECTIONS),
        "TOKENTHRIFT_REQUESTS_PER_KEY": str(REQUESTS),
        "TOKENTHRIFT_TRUSTED_PROXIES": "127.0.0.2",
    }
    with running_gateway(
        upstream, tmp_path_factory.mktemp("bounds"), workers=request.param, **settings
    ) as running:
        yield running


@contextmanager
def line_to(gateway: Gateway, source: str = "127.0.0.1") -> Iterator[socket.socket]:
    address = urlsplit(gateway.url)
    line = socket.socket()
    line.settimeout(LOOSE)
    line.bind((source, 0))
    with line:
        line.connect((address.hostname or "", address.port or 0))
        yield line


def answer_to(gateway: Gateway, sent: bytes) -> bytes:
    """All that comes back, until the gateway closes."""
    with line_to(gateway) as line:
        line.sendall(sent)
        return rest_of(line)


def rest_of(line: socket.socket) -> bytes:
    found = b""
    try:
        while data := line.recv(65536):
            found += data
    except ConnectionResetError:
        pass
    return found


def next_answer(line: socket.socket) -> bytes:
    """One answer that says its length, as all do that are no streams."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += line.recv(65536)
    head, _, body = found.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += line.recv(65536)
    return head + b"\r\n\r\n" + body


def chat_head(gateway: Gateway, length: int, *more: str, version: str = "1.1") -> bytes:
    lines = [
        f"POST /v1/chat/completions HTTP/{version}",
        "Host: x",
        f"Authorization: Bearer {gateway.virtual_key}",
    ]
    return "\r\n".join([*lines, f"Content-Length: {length}", *more, "", ""]).encode()


def chat_body(question: str = "How do I pay?", **fields: object) -> bytes:
    return orjson.dumps(
        {"model": ROUTE, "messages": [{"role": "user", "content": question}]} | fields
    )


def json_of(answer: bytes) -> dict[str, object]:
    found: dict[str, object] = orjson.loads(answer.partition(b"\r\n\r\n")[2])["error"]
    return found


@pytest.mark.parametrize(
    "head",
    [
        b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 200_000,
        b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET /v1/models?" + b"a" * 400_000,
        b"GET /v1/models HTTP/1.1\r\nHost: x\r\n"
        + b"".join(b"X-%d: y\r\n" % number for number in range(300))
        + b"\r\n",
        b"GET /admin/login/ HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 200_000,
    ],
    ids=["no end", "an end", "an address", "many headers", "very many headers"],
)
def test_a_head_that_is_too_large_is_refused(gateway: Gateway, head: bytes) -> None:
    answer = answer_to(gateway, head)
    assert answer.startswith(b"HTTP/1.1 431 "), answer[:200]
    assert b"\r\nconnection: close\r\n" in answer
    assert json_of(answer)["code"] == "head_too_large"


def test_a_head_within_the_bounds_is_read(gateway: Gateway) -> None:
    headers = {f"x-{number}": "y" * 400 for number in range(140)}
    assert httpx.get(f"{gateway.url}/livez", headers=headers).status_code == 200


def test_trailers_and_extensions_of_chunks_are_bounded_too(gateway: Gateway) -> None:
    head = chat_head(gateway, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    for framing in (b"1;" + b"x" * 500_000, b"0\r\nX-Trailer: " + b"a" * 500_000):
        started = time.monotonic()
        with line_to(gateway) as line:
            try:
                line.sendall(head + framing)
            except (ConnectionResetError, BrokenPipeError):
                continue
            rest_of(line)
        assert time.monotonic() - started < LOOSE


@pytest.mark.parametrize(
    "begun", [b"", b"GET /v1/mod", b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Slow: a", b"\r\n"]
)
def test_a_head_that_never_ends_is_given_up(gateway: Gateway, begun: bytes) -> None:
    started = time.monotonic()
    assert answer_to(gateway, begun) == b""
    assert HEAD - 0.5 <= time.monotonic() - started < LOOSE


def test_a_head_in_drips_is_given_up(gateway: Gateway) -> None:
    started = time.monotonic()
    with line_to(gateway) as line:
        line.sendall(b"GET /v1/models HTTP/1.1\r\nX-Slow: ")
        try:
            while time.monotonic() - started < LOOSE:
                line.sendall(b"a")
                time.sleep(0.1)
        except OSError:  # reset, or a broken pipe
            pass
    assert time.monotonic() - started < LOOSE


def test_the_second_head_on_a_connection_has_its_time_too(gateway: Gateway) -> None:
    with line_to(gateway) as line:
        line.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert next_answer(line).startswith(b"HTTP/1.1 200")
        time.sleep(HEAD + 2)  # idle: it is kept
        line.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert next_answer(line).startswith(b"HTTP/1.1 200")
        started = time.monotonic()
        line.sendall(b"GET /livez HTTP/1.1\r\n")
        assert rest_of(line) == b""
    assert HEAD - 0.5 <= time.monotonic() - started < LOOSE


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/cache/feedback", "/token-saving/plans"]
)
def test_a_body_that_never_ends_is_a_408(gateway: Gateway, path: str) -> None:
    started = time.monotonic()
    answer = answer_to(
        gateway, chat_head(gateway, 1000).replace(b"/v1/chat/completions", path.encode()) + b"{"
    )
    assert answer.startswith(b"HTTP/1.1 408 "), answer[:200]
    assert json_of(answer)["code"] == "request_timeout"
    assert b"\r\nx-request-id: " in answer
    assert BODY - 0.5 <= time.monotonic() - started < LOOSE


def test_a_reader_that_does_not_read_is_ended_and_its_call_upstream_with_it(
    gateway: Gateway, upstream: MockUpstream
) -> None:
    upstream.says, upstream.cancelled = completion("word " * 3_000_000), 0
    try:
        for stream in (False, True):
            with line_to(gateway) as line:
                body = chat_body(stream=stream)
                line.sendall(chat_head(gateway, len(body)) + body)
                time.sleep(UNREAD * 2 + 3)
                taken = 0
                try:
                    while data := line.recv(1 << 20):
                        taken += len(data)
                except ConnectionResetError:
                    pass
                assert taken < 15_000_000
        assert upstream.cancelled == 1  # the stream; the other answer had come whole
    finally:
        upstream.says = completion()


def test_a_slow_reader_gets_all_of_it(gateway: Gateway, upstream: MockUpstream) -> None:
    upstream.says = completion("word " * 1_000_000)
    try:
        with line_to(gateway) as line:
            body = chat_body()
            line.sendall(chat_head(gateway, len(body), "Connection: close") + body)
            found = b""
            while data := line.recv(200_000):
                found += data
                time.sleep(0.05)
    finally:
        upstream.says = completion()
    assert len(found) > 5_000_000


def test_one_address_has_so_many_connections_and_a_trusted_proxy_any_number(
    gateway: Gateway,
) -> None:
    most = CONNECTIONS * gateway.workers
    with ExitStack() as opened:
        lines = [opened.enter_context(line_to(gateway)) for _ in range(most + 20)]
        for line in lines:
            line.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answers = [next_answer(line) for line in lines]
        refused = [answer for answer in answers if answer.startswith(b"HTTP/1.1 429 ")]
        # Those of the tests before may be closing still.
        assert 15 <= len(refused) <= 20 + 2 * gateway.workers
        assert all(b"\r\nretry-after: 1\r\n" in answer for answer in refused)
        assert json_of(refused[0])["code"] == "too_many_connections"
        with line_to(gateway, "127.0.0.2") as line:
            line.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert next_answer(line).startswith(b"HTTP/1.1 200")
    time.sleep(0.5)
    assert httpx.get(f"{gateway.url}/livez").status_code == 200


def test_one_key_has_so_many_requests_at_a_time(gateway: Gateway, upstream: MockUpstream) -> None:
    upstream.pause = 3.0
    most = REQUESTS * gateway.workers
    try:
        with ThreadPoolExecutor(most + 6) as threads:
            answers = list(
                threads.map(lambda number: gateway.chat(f"Question {number}?"), range(most + 6))
            )
    finally:
        upstream.pause = 0.0
    refused = [answer for answer in answers if answer.status_code == 429]
    assert sum(answer.status_code == 200 for answer in answers) + len(refused) == most + 6
    assert len(refused) >= 6
    assert refused[0].headers["retry-after"] == "1"
    assert refused[0].json()["error"]["code"] == "too_many_requests_in_flight"
    assert gateway.chat().status_code == 200  # those that ended count no longer


@pytest.mark.parametrize("stream", [False, True])
def test_http_1_0_gets_no_chunks(gateway: Gateway, stream: bool) -> None:
    body = chat_body(stream=stream)
    answer = answer_to(gateway, chat_head(gateway, len(body), version="1.0") + body)
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert b" 200 " in head
    assert b"transfer-encoding" not in head.lower()
    assert rest.rstrip().endswith(b"data: [DONE]" if stream else b"}")
    assert rest.startswith(b"data: {" if stream else b"{")


def test_a_stream_by_http_1_0_arrives_as_it_is_made_and_ends_with_the_connection(
    gateway: Gateway, upstream: MockUpstream
) -> None:
    body = chat_body("Which events come first?", stream=True)
    head = chat_head(gateway, len(body), "Connection: keep-alive", version="1.0")
    upstream.pause = 0.3
    try:
        with line_to(gateway) as line:
            line.sendall(head + body)
            begun = b""
            while b"data: {" not in begun:
                begun += line.recv(65536)
            assert b"data: [DONE]" not in begun
            assert b"\r\nconnection: close\r\n" in begun
            assert rest_of(line).endswith(b"data: [DONE]\n\n")
    finally:
        upstream.pause = 0.0


def test_http_1_0_reads_models_errors_and_heads(gateway: Gateway) -> None:
    key = f"Authorization: Bearer {gateway.virtual_key}"
    for line, status in (
        ("GET /v1/models", b"200"),
        ("HEAD /v1/models", b"200"),
        ("GET /v1/models/none", b"404"),
        ("OPTIONS /v1/models", b"405"),
    ):
        answer = answer_to(gateway, f"{line} HTTP/1.0\r\n{key}\r\n\r\n".encode())
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b" %b " % status in head.split(b"\r\n")[0], line
        length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
        assert len(body) == (0 if line.startswith("HEAD") else length), line


def test_a_port_that_cannot_be_is_refused(gateway: Gateway) -> None:
    for host, status in (
        ("localhost:99999", 400),
        ("localhost:8000", 200),
        ("[::1]:70000", 400),
        ("[::1]", 200),
        ("localhost:x", 400),
    ):
        assert httpx.get(f"{gateway.url}/livez", headers={"host": host}).status_code == status, host


def test_get_keeps_its_connection(gateway: Gateway) -> None:
    with line_to(gateway) as line:
        for _ in range(3):
            line.sendall(
                (
                    "GET /v1/models HTTP/1.1\r\nHost: x\r\n"
                    f"Authorization: Bearer {gateway.virtual_key}\r\n\r\n"
                ).encode()
            )
            answer = next_answer(line)
            assert answer.startswith(b"HTTP/1.1 200")
            assert b"connection: close" not in answer


def test_what_was_ended_is_counted(gateway: Gateway) -> None:
    metrics = gateway.api("GET", "/metrics").text
    for reason in ("head", "body", "unread", "address"):
        assert f'tokenthrift_connections_ended_total{{reason="{reason}"}}' in metrics, reason


def test_addresses_are_counted_as_their_owners_have_them() -> None:
    assert (
        _normalize_address("2001:db8:1:2::1")
        == _normalize_address("2001:db8:1:2:ffff::9")
        != _normalize_address("2001:db8:1:3::1")
    )
    assert (
        _normalize_address("::ffff:192.0.2.1")
        == _normalize_address("192.0.2.1")
        != _normalize_address("::ffff:192.0.2.2")
    )
    assert _normalize_address("fe80::1%eth0")
    assert _normalize_address("a socket") == "a socket"


def test_which_ports_can_be() -> None:
    assert all(
        map(_has_valid_port, (b"x", b"x:1", b"x:65535", b"x:", b"[::1]", b"[::1]:80", b"::1", b""))
    )
    assert not any(map(_has_valid_port, (b"x:65536", b"x:-1", b"x:a", b"[::1]:99999", b"x:000080")))
