"""A gateway that is set up over the management API alone, and follows it on every worker."""

import secrets
import time
import uuid
from collections.abc import Callable, Iterator

import httpx
import openai
import pytest

from tests.support.gateways import PROMISED, Gateway, running_gateway
from tests.support.upstream import MockUpstream

API = "/token-saving"
KEYS = f"{API}/keys"
REPEATS = 12  # fresh connections, so that both workers are asked


@pytest.fixture(scope="module")
def gateway(upstream: MockUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(upstream, tmp_path_factory.mktemp("api"), workers=2) as running:
        objects = {
            "upstreams/by-api": {
                "base_url": upstream.base_url,
                "allow_private": True,
                "key": "sk-of-the-api",
            },
            "routes/by-api/model": {"upstream": "by-api", "model": "gpt-4o-mini"},
            "plans/by-api": {"cache": {"backend": None, "ttl": 60}},
            "tenants/by-api": {"routes": ["by-api/model"], "default_plan": "by-api"},
        }
        for path, body in objects.items():
            reply = running.api("PUT", f"{API}/{path}", json=body)
            assert reply.status_code == 201, reply.text
        yield running


def make_key(gateway: Gateway, name: str) -> str:
    """The secret of a new key that a secret store gave, once every worker knows it."""
    secret = f"tt-{secrets.token_urlsafe(32)}"
    reply = gateway.api("PUT", f"{KEYS}/{name}?tenant=by-api", json={"secret": secret})
    assert reply.status_code == 201, reply.text
    assert secret not in reply.text
    assert everywhere(lambda: ask(gateway, secret).status_code == 200)
    return secret


def ask(gateway: Gateway, secret: str) -> httpx.Response:
    return gateway.chat(uuid.uuid4().hex, key=secret, model="by-api/model")


def everywhere(holds: Callable[[], bool], seconds: float = PROMISED) -> bool:
    """Whether, once the promised time has passed, it holds on fresh connections again and again."""
    time.sleep(seconds)
    return all(holds() for _ in range(REPEATS))


def test_what_the_api_makes_is_served_under_its_default_plan(
    gateway: Gateway, upstream: MockUpstream
) -> None:
    secret = make_key(gateway, "web")
    reply = ask(gateway, secret)
    assert (reply.status_code, reply.headers["x-tokenthrift-plan"]) == (200, "by-api")
    assert upstream.asked[-1].headers[b"authorization"] == b"Bearer sk-of-the-api"
    for text in (gateway.log.read_text(), gateway.api("GET", f"{API}/upstreams/by-api").text):
        assert "sk-of-the-api" not in text
        assert secret not in text


def test_a_paused_key_is_told_so_on_every_worker_within_two_seconds_and_resumed(
    gateway: Gateway,
) -> None:
    secret, path = make_key(gateway, "batch"), f"{KEYS}/batch?tenant=by-api"
    assert gateway.api("PATCH", path, json={"paused": True}).status_code == 200
    assert everywhere(lambda: ask(gateway, secret).status_code == 403)
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=secret, max_retries=0)
    with pytest.raises(openai.PermissionDeniedError) as caught:
        client.models.list()
    assert caught.value.code == "key_paused"
    assert "paused" in caught.value.message
    assert gateway.api("PATCH", path, json={"paused": False}).status_code == 200
    assert everywhere(lambda: ask(gateway, secret).status_code == 200)


def test_both_secrets_of_a_rotated_key_work_until_the_overlap_ends(gateway: Gateway) -> None:
    secret, overlap = make_key(gateway, "mobile"), 8
    rotated = gateway.api(
        "POST", f"{KEYS}/mobile/rotate?tenant=by-api", json={"overlap": overlap}
    ).json()
    ends = time.monotonic() + overlap
    new = rotated["secret"]
    assert everywhere(lambda: ask(gateway, new).status_code == 200)
    assert ask(gateway, secret).headers["x-tokenthrift-plan"] == "by-api"
    assert time.monotonic() < ends
    listed = gateway.api("GET", f"{KEYS}?tenant=by-api").json()["data"]
    states = {each["id"]: each["state"] for each in listed if each["name"] == "mobile"}
    assert states == {rotated["former"]["id"]: "replaced", rotated["id"]: "live"}
    time.sleep(max(0.0, ends - time.monotonic()))
    assert everywhere(lambda: ask(gateway, secret).status_code == 401, seconds=0.5)
    assert ask(gateway, new).status_code == 200
    wait_for_use(gateway, rotated["id"])


def wait_for_use(gateway: Gateway, key: int, seconds: float = 60.0) -> None:
    """Until the key's last use is told, which may be a minute late."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if gateway.api("GET", f"{KEYS}/{key}").json()["last_used_at"] is not None:
            return
        time.sleep(0.5)
    raise AssertionError("the last use was not told")
