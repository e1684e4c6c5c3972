"""How an upstream is reached, through real processes: a file, a wildcard, a proxy of the
environment, headers of clients, and what SDKs send again."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import openai
import pytest

from tests.support.connect_proxy import ConnectProxy
from tests.support.gateways import Gateway, running_gateway
from tests.support.upstream import MockUpstream, running_upstream

PLAN = "reached"
FILE = """
upstreams:
  inside:
    provider: vllm
    base_url: http://llm.internal
    allow_private: true
    key: sk-own
    key_header: api-key
    headers: {X-Team: blue}
    query: {api-version: "1"}
    forward_headers: [OpenAI-Project]
routes:
  gpt-*: {upstream: inside, model: gpt-*}
plans:
  reached: {cache: {backend: null}}
"""


@pytest.fixture(scope="module")
def upstream() -> Iterator[MockUpstream]:
    with running_upstream() as running:
        yield running


@pytest.fixture(scope="module")
def proxy(upstream: MockUpstream) -> Iterator[ConnectProxy]:
    made = ConnectProxy(addresses={"llm.internal": ("127.0.0.1", upstream.port)})
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(made.serve, "127.0.0.1", 0))
    made.port = server.sockets[0].getsockname()[1]
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield made
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)


@pytest.fixture(scope="module")
def gateway(
    upstream: MockUpstream, proxy: ConnectProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    environment: dict[str, Any] = {
        "TOKENTHRIFT_PROXY_FROM_ENVIRONMENT": "yes",
        "http_proxy": proxy.url,
    }
    with running_gateway(upstream, folder, **environment) as running:
        file = Path(folder / "gateway.yaml")
        file.write_text(FILE)
        running.manage("apply", str(file))
        running.wait_plan(PLAN)
        yield running


@pytest.fixture(autouse=True)
def fresh(upstream: MockUpstream) -> None:
    upstream.forget()


def ask(gateway: Gateway, question: str, project: str, *, retries: int = 0) -> str:
    reply = gateway.sdk.with_options(max_retries=retries).chat.completions.with_raw_response.create(
        model="gpt-of-ours",
        messages=[{"role": "user", "content": question}],
        extra_body={"token_saving_plan_id": PLAN},
        extra_headers={"OpenAI-Project": project, "X-Other": "1"},
    )
    time.sleep(0.3)  # until it is stored
    return str(reply.headers["x-tokenthrift-cache"])


def test_a_request_goes_by_the_proxy_with_what_the_upstream_names(
    gateway: Gateway, upstream: MockUpstream, proxy: ConnectProxy
) -> None:
    assert ask(gateway, "Where?", "one") == "miss"
    assert ask(gateway, "Where?", "one") == "exact"
    assert ask(gateway, "Where?", "two") == "miss"
    first, second = upstream.asked
    assert first.body["model"] == "gpt-of-ours"
    sent = [
        {name.decode(): value.decode() for name, value in each.headers.items()}
        for each in (first, second)
    ]
    assert [each["openai-project"] for each in sent] == ["one", "two"]
    assert (sent[0]["api-key"], sent[0]["x-team"]) == ("sk-own", "blue")
    assert not {"authorization", "x-other", "x-stainless-lang"} & sent[0].keys()
    url = "http://llm.internal/v1/chat/completions?api-version=1"
    assert set(proxy.asked) == {f"POST {url} HTTP/1.1"}


def test_an_sdk_sends_again_what_was_refused_and_not_what_may_be_billed(
    gateway: Gateway, upstream: MockUpstream
) -> None:
    for status, calls in ((504, 1), (500, 2)):
        upstream.asked.clear()
        upstream.status, upstream.body = status, b'{"error": {"message": "no"}}'
        with pytest.raises(openai.InternalServerError):
            ask(gateway, f"Again after {status}?", "one", retries=1)
        assert len(upstream.asked) == calls


def test_the_check_goes_the_same_way(gateway: Gateway, upstream: MockUpstream) -> None:
    gateway.manage("check_upstream", "inside")
    (asked,) = upstream.asked
    assert (asked.method, asked.path) == ("GET", "/v1/models")
    assert asked.headers[b"api-key"] == b"sk-own"
