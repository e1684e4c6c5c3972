"""A page of another origin at a real gateway: preflights, answers, hits, streams and errors."""

import os
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from gateway_project.embedded import configuration
from tests.support.gateways import ROUTE, Gateway, running_gateway
from tests.support.upstream import MockUpstream

PAGE, OTHER = "https://app.example.org", "https://evil.example.org"
PLAN = "pages"
# What the SDK sends from a browser, as a browser writes it.
ASKED = (
    "authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-os,"
    "x-stainless-package-version,x-stainless-retry-count,x-stainless-runtime"
)


@pytest.fixture(scope="module")
def gateway(upstream: MockUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(
        upstream,
        tmp_path_factory.mktemp("cors"),
        TOKENTHRIFT_CORS_ORIGINS=f"{PAGE}, http://localhost:5173",
    ) as running:
        made = running.api("POST", "/token-saving/plans", json={"plan_name": PLAN, "cache": {}})
        assert made.status_code == 201, made.text
        running.wait_plan(PLAN)
        yield running


def ask(
    gateway: Gateway, *, origin: str = PAGE, key: str | None = None, **fields: object
) -> httpx.Response:
    body = {"model": ROUTE, "messages": [{"role": "user", "content": "How do I pay?"}]} | fields
    return httpx.post(
        f"{gateway.url}/v1/chat/completions",
        json=body,
        headers={
            "origin": origin,
            "authorization": f"Bearer {gateway.virtual_key if key is None else key}",
        },
        timeout=60,
    )


def preflight(gateway: Gateway, path: str, origin: str = PAGE) -> httpx.Response:
    return httpx.options(
        f"{gateway.url}{path}",
        headers={
            "origin": origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": ASKED,
        },
    )


def read_exposed(answer: httpx.Response) -> set[str]:
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in answer.headers
    return set(answer.headers["access-control-expose-headers"].split(", "))


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/models", "/v1/unknown", "/chat/completions"]
)
def test_a_preflight_needs_no_key(gateway: Gateway, path: str) -> None:
    answer = preflight(gateway, path)
    assert answer.status_code == 204, answer.text
    assert answer.content == b""
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"].split(", ") == ASKED.split(",")
    assert int(answer.headers["access-control-max-age"]) > 0
    assert answer.headers["x-request-id"]


def test_a_connection_is_kept_after_a_preflight(gateway: Gateway) -> None:
    with httpx.Client(base_url=gateway.url) as client:
        headers = {"origin": PAGE, "access-control-request-method": "GET"}
        assert client.options("/v1/models", headers=headers).status_code == 204
        again = client.get("/v1/models", headers={"authorization": f"Bearer {gateway.virtual_key}"})
        assert again.status_code == 200


def test_misses_hits_and_streams_expose_what_they_say(gateway: Gateway) -> None:
    for stream in (False, True):
        question = [{"role": "user", "content": f"May pages ask? {stream}"}]
        tiers = []
        for _ in range(2):
            answer = ask(gateway, messages=question, token_saving_plan_id=PLAN, stream=stream)
            assert answer.status_code == 200, answer.text
            ours = {name for name in answer.headers if name.startswith("x-tokenthrift-")}
            assert ours | {"x-request-id", "cache-status"} <= read_exposed(answer)
            tiers.append(answer.headers["x-tokenthrift-cache"])
            if stream:
                assert answer.headers["content-type"].startswith("text/event-stream")
        assert tiers == ["miss", "exact"]


def test_errors_can_be_read_too(gateway: Gateway, upstream: MockUpstream) -> None:
    assert "x-request-id" in read_exposed(ask(gateway, key="wrong"))
    assert read_exposed(ask(gateway, messages=1))
    wrong = httpx.post(f"{gateway.url}/chat/completions", json={}, headers={"origin": PAGE})
    assert wrong.status_code == 404
    assert read_exposed(wrong)
    packed = {"origin": PAGE, "authorization": f"Bearer {gateway.virtual_key}"}
    refused = httpx.post(
        f"{gateway.url}/v1/chat/completions",
        content=b"x",
        headers=packed | {"content-encoding": "br"},
    )
    assert refused.status_code == 415
    assert "accept-encoding" in read_exposed(refused)


def test_others_get_the_plain_answer(gateway: Gateway) -> None:
    answers = [
        ask(gateway, origin=OTHER),
        preflight(gateway, "/v1/chat/completions", OTHER),
        gateway.chat(),
        httpx.get(f"{gateway.url}/livez", headers={"origin": PAGE}),
    ]
    assert [answer.status_code for answer in answers] == [200, 405, 200, 200]
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_an_origin_that_no_browser_sends_keeps_the_gateway_from_starting() -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "serve", "--port", "0"],
        cwd=configuration.BASE_DIR,
        env=os.environ | {"TOKENTHRIFT_CORS_ORIGINS": "https://app.example.org/chat"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "tokenthrift.E009" in done.stderr
    assert "https://app.example.org/chat has a path" in done.stderr
