"""Redis and PostgreSQL stopped, frozen and started again under a running gateway:
every chat request is answered, every one is counted."""

import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from tests.support.gateways import Gateway, running_gateway
from tests.support.servers import PostgresServer, RedisServer, Server
from tests.support.upstream import MockUpstream, running_upstream

LOOSE = 5.0  # seconds, on a busy machine; what a failure really costs is measured, not tested
PLAN = "support"


@pytest.fixture(scope="module")
def services() -> Iterator[dict[str, Server]]:
    folder = Path(tempfile.mkdtemp(prefix="tokenthrift-faults-"))
    folder.chmod(0o755)  # run by root, PostgreSQL uses another account
    made: dict[str, Server] = {}
    for name, kind in (("postgres", PostgresServer), ("redis", RedisServer)):
        (folder / name).mkdir()
        made[name] = kind(folder / name)
    yield made
    for server in made.values():
        server.kill()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def upstream() -> Iterator[MockUpstream]:
    with running_upstream() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(
    services: dict[str, Server], upstream: MockUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    urls: dict[str, Any] = {
        "TOKENTHRIFT_CACHE_BUDGET_MS": "100",
        "DATABASE_URL": services["postgres"].url,
        "REDIS_URL": services["redis"].url,
    }
    with running_gateway(upstream, tmp_path_factory.mktemp("gateway"), **urls) as running:
        made = running.api("POST", "/token-saving/plans", json={"plan_name": PLAN, "cache": {}})
        assert made.status_code == 201, made.text
        running.wait_plan(PLAN)
        yield running


@pytest.fixture
def counted(gateway: Gateway) -> "Counted":
    return Counted(gateway)


class Counted:
    """Sends requests and, at the end, holds the gateway's count against its own."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.before = gateway.stats(PLAN, requests=0)["total_requests"]
        self.sent = 0
        self.slowest = 0.0

    def ask(self, question: str, **fields: Any) -> httpx.Response:
        began = time.monotonic()
        answer = self.gateway.chat(question, token_saving_plan_id=PLAN, **fields)
        self.slowest = max(self.slowest, time.monotonic() - began)
        assert answer.status_code == 200, answer.text
        self.sent += 1
        return answer

    def check(self) -> None:
        """Raise unless every request was counted exactly once and none took long."""
        total = self.gateway.stats(PLAN, requests=self.before + self.sent, seconds=20)[
            "total_requests"
        ]
        assert total == self.before + self.sent
        assert self.slowest < LOOSE


def back_within(seconds: float, works: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if works():
            return True
        time.sleep(0.1)
    return False


def is_exact_hit(counted: Counted, question: str) -> bool:
    return counted.ask(question).headers["x-tokenthrift-cache"] == "exact"


def hits_exactly(counted: Counted) -> bool:
    """Whether a request and its repeat end in an exact hit."""
    question = uuid.uuid4().hex
    counted.ask(question)
    time.sleep(0.3)
    return is_exact_hit(counted, question)


def hits_semantically(counted: Counted) -> bool:
    """Whether a question and its rewording end in a semantic hit."""
    space = {"namespace": uuid.uuid4().hex}
    counted.ask("How do I return a parcel?", cache=space)
    time.sleep(0.3)
    return (
        counted.ask("How can I return a parcel?", cache=space).headers["x-tokenthrift-cache"]
        == "semantic"
    )


@pytest.mark.parametrize("fault", ["frozen", "stopped"])
def test_without_redis_requests_are_answered_and_counted(
    counted: Counted, services: dict[str, Server], fault: str
) -> None:
    server = services["redis"]
    assert back_within(5, lambda: hits_exactly(counted))
    server.signal(signal.SIGSTOP) if fault == "frozen" else server.kill()
    try:
        for number in range(8):
            assert counted.ask(f"{fault} {number}").headers["x-tokenthrift-cache"] == "miss"
        counted.ask("streamed too", stream=True)
    finally:
        server.signal(signal.SIGCONT) if fault == "frozen" else server.restart()
    assert back_within(5, lambda: hits_exactly(counted))
    counted.check()


@pytest.mark.parametrize("fault", ["frozen", "stopped"])
def test_without_postgresql_requests_are_answered_and_counted_later(
    counted: Counted, services: dict[str, Server], fault: str
) -> None:
    postgres = services["postgres"]
    counted.ask("How do I pay?")
    postgres.signal(signal.SIGSTOP) if fault == "frozen" else postgres.kill()
    try:
        # The plan is known from memory, and the exact tier needs no PostgreSQL.
        assert back_within(5, lambda: hits_exactly(counted))
        for number in range(8):
            assert counted.ask(f"{fault} {number}").headers["x-tokenthrift-plan"] == PLAN
    finally:
        postgres.signal(signal.SIGCONT) if fault == "frozen" else postgres.restart()
    assert back_within(5, lambda: hits_semantically(counted))
    counted.check()


def test_with_both_down_requests_are_answered_and_counted_later(
    counted: Counted, services: dict[str, Server]
) -> None:
    with services["postgres"].frozen(), services["redis"].frozen():
        for number in range(5):
            counted.ask(f"both {number}")
    assert back_within(5, lambda: hits_exactly(counted))
    counted.check()


def test_what_was_said_to_be_wrong_while_its_store_was_away_is_not_served_when_it_is_back(
    gateway: Gateway, services: dict[str, Server]
) -> None:
    plan = "redis-alone"
    assert (
        gateway.api(
            "POST",
            "/token-saving/plans",
            json={"plan_name": plan, "cache": {"backend": "redis_semantic"}},
        ).status_code
        == 201
    )
    gateway.wait_plan(plan)
    question = f"How do I return parcel {uuid.uuid4().hex}?"
    assert back_within(
        5,
        lambda: (
            gateway.chat(question, token_saving_plan_id=plan).headers["x-tokenthrift-cache"]
            == "exact"
        ),
    )
    wrong = gateway.chat(question, token_saving_plan_id=plan).headers["x-request-id"]
    time.sleep(1)
    with services["redis"].frozen():
        body, key = (
            {"request_id": wrong, "wrong": True},
            {"authorization": f"Bearer {gateway.virtual_key}"},
        )
        said = httpx.post(f"{gateway.url}/v1/cache/feedback", json=body, headers=key, timeout=30)
        assert (said.status_code, said.json()["evicted"]) == (200, []), said.text
    time.sleep(5)  # the store is left alone for two seconds after it failed
    for asked in (question, f"{question}?"):
        cached = gateway.chat(asked, token_saving_plan_id=plan, cache={"only-if-cached": True})
        assert (cached.status_code, cached.headers["x-tokenthrift-cache"]) == (504, "miss")


def test_a_full_redis_is_a_miss_and_not_an_error(
    counted: Counted, services: dict[str, Server]
) -> None:
    client = redis.Redis.from_url(services["redis"].url)
    assert back_within(5, lambda: hits_exactly(counted))
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", 1)
    try:
        question = uuid.uuid4().hex
        assert not is_exact_hit(counted, question)
        # A repeat may still join the first, whose answer is just failing to be stored.
        assert back_within(5, lambda: not is_exact_hit(counted, question))
    finally:
        client.config_set("maxmemory", 0)
    assert back_within(5, lambda: hits_exactly(counted))
    counted.check()


def test_an_upstream_that_is_gone_is_a_502_object(gateway: Gateway, upstream: MockUpstream) -> None:
    gateway.manage(
        "shell",
        "-c",
        "from proxy.upstreams.services import put_upstream; "
        "put_upstream(name='demo', base_url='http://127.0.0.1:9/v1', allow_private=True)",
    )
    try:
        assert back_within(2, lambda: gateway.chat("anyone?").status_code == 502)
        answer = gateway.chat("anyone?")
        assert answer.json()["error"]["code"] == "upstream_unreachable"
        assert "127.0.0.1" not in answer.text
    finally:
        gateway.manage(
            "shell",
            "-c",
            "from proxy.upstreams.services import put_upstream; "
            f"put_upstream(name='demo', base_url='{upstream.base_url}', allow_private=True)",
        )


def test_logs_hold_no_prompt_and_no_key(gateway: Gateway) -> None:
    log = Path(gateway.log).read_text()
    assert gateway.virtual_key not in log
    assert "How do I pay" not in log
