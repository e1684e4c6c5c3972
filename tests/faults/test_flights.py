"""Single flight over two workers, real ones: 500 identical requests make one call, whoever leaves, dies or falls silent."""

import asyncio
import time
import uuid
from collections.abc import Iterator
from typing import Any

import aiohttp
import orjson
import psycopg
import pytest

from proxy.core import sse
from tests.gateways import ROUTE, Gateway, running_gateway
from tests.servers import RedisServer
from tests.upstream import MockUpstream, completion, running_upstream

PLAN = "desk"
SOON = 10.0  # seconds, on a busy machine
EVENTS = (
    "SELECT tier, collapsed, attempts, outcome, status, tokens_saved FROM stats_requestevent WHERE plan = %s AND at >= to_timestamp(%s)"
)
LAUNCHED = "SELECT count(*) FROM stats_upstreamattempt"


@pytest.fixture(scope="module")
def upstream() -> Iterator[MockUpstream]:
    with running_upstream() as running:
        yield running


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"), search=False)
    yield server
    server.kill()


@pytest.fixture(scope="module")
def gateway(redis: RedisServer, upstream: MockUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    url = f"{redis.url}/1"
    with running_gateway(upstream, tmp_path_factory.mktemp("flights"), workers=2, REDIS_URL=url) as running:
        made = running.api("POST", "/token-saving/plans", json={"plan_name": PLAN, "cache": {"backend": None}})
        assert made.status_code == 201, made.text
        running.wait_plan(PLAN)
        yield running


@pytest.fixture
def crowd(gateway: Gateway, upstream: MockUpstream) -> Iterator["Crowd"]:
    upstream.pause, upstream.status, upstream.says = 0.0, 200, completion()
    yield Crowd(gateway, upstream)
    upstream.pause, upstream.status, upstream.says = 0.0, 200, completion()


class Crowd:
    """Many who ask the same at once, on connections of their own, and what the gateway and the upstream made of it."""

    def __init__(self, gateway: Gateway, upstream: MockUpstream) -> None:
        self.gateway, self.upstream = gateway, upstream
        self.question = f"How do I pay? {uuid.uuid4().hex}"
        self.began = time.time()
        self.before = len(upstream.requests)

    @property
    def calls(self) -> int:
        return len(self.upstream.requests) - self.before

    async def ask(self, session: aiohttp.ClientSession, *, key: str = "", **fields: Any) -> tuple[int, str, bytes]:
        """Status, cache-status and body of one request."""
        body = {"model": ROUTE, "messages": [{"role": "user", "content": self.question}], "token_saving_plan_id": PLAN} | fields
        headers = {"authorization": f"Bearer {key or self.gateway.virtual_key}"}
        async with session.post(f"{self.gateway.url}/v1/chat/completions", json=body, headers=headers) as answer:
            return answer.status, answer.headers.get("cache-status", ""), await answer.read()

    async def all_ask(self, number: int, **fields: Any) -> list[tuple[int, str, bytes]]:
        async with session() as open_session:
            return list(await asyncio.gather(*(self.ask(open_session, **fields) for _ in range(number))))

    def events(self, number: int) -> list[dict[str, Any]]:
        """The events of this crowd, once so many are there; no more come after."""
        deadline = time.monotonic() + SOON
        with psycopg.connect(self.gateway.environment["DATABASE_URL"], autocommit=True) as connection:
            while True:
                cursor = connection.execute(EVENTS, (PLAN, self.began))
                names = [column.name for column in cursor.description or ()]
                found = [dict(zip(names, row, strict=True)) for row in cursor]
                if len(found) >= number or time.monotonic() > deadline:
                    break
                time.sleep(0.1)
            assert connection.execute(LAUNCHED).fetchone() == (0,)
        assert len(found) == number
        assert sum(event["attempts"] for event in found) == self.calls
        assert not any(event["attempts"] for event in found if event["tier"] == "exact")
        return found


def session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(60))


def said(stream: bytes) -> Any:
    """What a whole stream came to."""
    heard = sse.Collector()
    events = sse.Decoder().feed(stream)
    assert events[-1].done
    for event in events[:-1]:
        heard.add(orjson.loads(event.data))
    return heard.completion()


@pytest.mark.parametrize("stream", [False, True])
async def test_five_hundred_identical_requests_make_one_call(crowd: Crowd, stream: bool) -> None:
    crowd.upstream.pause = 0.5 if stream else 2.0
    answers = await crowd.all_ask(500, stream=stream)
    assert crowd.calls == 1
    assert {status for status, _, _ in answers} == {200}
    bodies = {body for _, _, body in answers}
    if stream:
        assert len({orjson.dumps(said(body)) for body in bodies}) == 1
    else:
        assert bodies == {orjson.dumps(completion())}
    events = crowd.events(500)
    assert sorted(event["tier"] for event in events) == ["exact"] * 499 + ["miss"]
    assert sum(event["collapsed"] for event in events) > 400
