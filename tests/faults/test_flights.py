"""Single flight over two workers, real ones: 500 identical requests make one call, whoever leaves,
dies or falls silent."""

import asyncio
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import psycopg
import pytest

from proxy.core.formats import sse
from proxy.core.formats.stream_collector import StreamCollector
from proxy.engines.coalescing.redis import LEASE_SECONDS
from tests.support.gateways import ROUTE, Gateway, inodes, running_gateway
from tests.support.servers import RedisServer
from tests.support.upstream import MockUpstream, completion, running_upstream

PLAN = "desk"
SOON = 10.0  # seconds, on a busy machine
EVENTS = (
    "SELECT tier, collapsed, attempts, outcome, status, tokens_saved FROM stats_requestevent "
    "WHERE plan = %s AND at >= to_timestamp(%s)"
)
TOTALS = """
SELECT count(*), count(*) FILTER (WHERE tier = 'exact'), sum(tokens_saved), count(*) FILTER (WHERE collapsed)
FROM stats_requestevent WHERE plan = %s AND outcome = 'ok' AND status = 200
"""  # noqa: E501 -- SQL is laid out as it is read
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
def gateway(
    redis: RedisServer, upstream: MockUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    url = f"{redis.url}/1"
    with running_gateway(
        upstream,
        tmp_path_factory.mktemp("flights"),
        workers=2,
        REDIS_URL=url,
        TOKENTHRIFT_CACHE_BUDGET_MS="100",
    ) as running:
        made = running.api(
            "POST", "/token-saving/plans", json={"plan_name": PLAN, "cache": {"backend": None}}
        )
        assert made.status_code == 201, made.text
        running.wait_plan(PLAN)
        yield running


@pytest.fixture
def crowd(gateway: Gateway, upstream: MockUpstream) -> Iterator["Crowd"]:
    upstream.pause, upstream.status, upstream.says = 0.0, 200, completion()
    yield Crowd(gateway, upstream)
    upstream.pause, upstream.status, upstream.says = 0.0, 200, completion()


class Crowd:
    """Many who ask the same at once, on connections of their own,
    and what the gateway and the upstream made of it."""

    def __init__(self, gateway: Gateway, upstream: MockUpstream) -> None:
        self.gateway, self.upstream = gateway, upstream
        self.question = f"How do I pay? {uuid.uuid4().hex}"
        self.began = time.time()
        self.before = len(upstream.requests)

    @property
    def calls(self) -> int:
        return len(self.upstream.requests) - self.before

    async def ask(
        self, session: aiohttp.ClientSession, *, key: str = "", **fields: Any
    ) -> tuple[int, str, bytes]:
        """Status, cache-status and body of one request."""
        body = {
            "model": ROUTE,
            "messages": [{"role": "user", "content": self.question}],
            "token_saving_plan_id": PLAN,
        } | fields
        headers = {"authorization": f"Bearer {key or self.gateway.virtual_key}"}
        async with session.post(
            f"{self.gateway.url}/v1/chat/completions", json=body, headers=headers
        ) as answer:
            return answer.status, answer.headers.get("cache-status", ""), await answer.read()

    async def all_ask(self, number: int, **fields: Any) -> list[tuple[int, str, bytes]]:
        async with session() as open_session:
            return list(
                await asyncio.gather(*(self.ask(open_session, **fields) for _ in range(number)))
            )

    def events(self, number: int) -> list[dict[str, Any]]:
        """The events of this crowd, once so many are there; no more come after."""
        deadline = time.monotonic() + SOON
        with psycopg.connect(
            self.gateway.environment["DATABASE_URL"], autocommit=True
        ) as connection:
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

    def check_stats(self) -> None:
        """Raise unless the plan's stats add up what the events do,
        this crowd's and those before."""
        with psycopg.connect(self.gateway.environment["DATABASE_URL"]) as connection:
            counted = connection.execute(TOTALS, (PLAN,)).fetchone()
        assert counted
        shown = self.gateway.stats(PLAN, requests=counted[0])
        hits = shown["detail"]["hits"]
        assert counted == (
            shown["total_requests"],
            shown["cache_hits"],
            shown["tokens_saved"],
            hits["collapsed"],
        )


def session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(60)
    )


def said(stream: bytes) -> Any:
    """What a whole stream came to."""
    heard = StreamCollector()
    events = sse.SseDecoder().feed(stream)
    assert events[-1].is_done
    for event in events[:-1]:
        heard.take_chunk(orjson.loads(event.data))
    return heard.build_completion()


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
    assert {event["tokens_saved"] for event in events} == {0, 29}
    crowd.check_stats()


async def test_a_client_that_leaves_takes_nobody_with_it(crowd: Crowd) -> None:
    crowd.upstream.pause = 2.0
    async with session() as first, session() as others:
        leader = asyncio.create_task(crowd.ask(first))
        await until(lambda: crowd.calls == 1)
        rest = [asyncio.create_task(crowd.ask(others)) for _ in range(60)]
        await asyncio.sleep(0.8)
        leader.cancel()
        answers = await asyncio.gather(*rest)
    assert crowd.calls == 1
    assert {(status, body) for status, _, body in answers} == {(200, orjson.dumps(completion()))}
    outcomes = [event["outcome"] for event in crowd.events(61)]
    assert (outcomes.count("client_closed"), outcomes.count("ok")) == (1, 60)


async def test_when_all_have_left_the_provider_is_stopped_within_a_second(crowd: Crowd) -> None:
    crowd.upstream.pause = 4.0
    before = crowd.upstream.cancelled
    async with session() as all_of_them:
        asking = [asyncio.create_task(crowd.ask(all_of_them, stream=True)) for _ in range(40)]
        await until(lambda: crowd.calls == 1)
        await asyncio.sleep(0.5)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        left = time.monotonic()
    await until(lambda: crowd.upstream.cancelled > before)
    assert time.monotonic() - left < 2  # a second, and what a busy machine adds
    assert crowd.calls == 1
    assert {event["outcome"] for event in crowd.events(40)} == {"client_closed"}


async def test_what_is_not_cached_runs_side_by_side(crowd: Crowd) -> None:
    crowd.upstream.pause = 1.0
    began = time.monotonic()
    await crowd.all_ask(20, cache={"no-store": True})
    assert crowd.calls == 20
    assert time.monotonic() - began < 8, "they waited for each other"


async def test_tenants_never_share_a_call(crowd: Crowd) -> None:
    crowd.upstream.pause = 1.0
    other = (
        crowd.gateway.manage("create_key", "--tenant", "beta", "--create-tenant")
        .splitlines()[-1]
        .split()[-1]
    )
    await asyncio.sleep(2)  # until every worker knows it
    async with session() as both:
        answers = await asyncio.gather(
            *(crowd.ask(both, key=key) for key in ("", other) for _ in range(10))
        )
    assert {status for status, _, _ in answers} == {200}
    assert crowd.calls == 2


async def test_an_error_answers_all_who_waited_and_is_not_tried_by_each(crowd: Crowd) -> None:
    crowd.upstream.says = {"choices": "none"}
    crowd.upstream.pause = 1.5
    answers = await crowd.all_ask(100)
    assert {(status, orjson.loads(body)["error"]["code"]) for status, _, body in answers} == {
        (502, "upstream_invalid_response")
    }
    assert crowd.calls == 1


@pytest.mark.parametrize("fault", ["frozen", "stopped"])
async def test_without_redis_each_worker_makes_one_call(
    crowd: Crowd, redis: RedisServer, fault: str
) -> None:
    crowd.upstream.pause = 2.0
    redis.signal(signal.SIGSTOP) if fault == "frozen" else redis.kill()
    try:
        answers = await crowd.all_ask(100)
    finally:
        redis.signal(signal.SIGCONT) if fault == "frozen" else redis.restart()
    assert {(status, body) for status, _, body in answers} == {(200, orjson.dumps(completion()))}
    assert crowd.calls <= 2
    crowd.events(100)


async def test_when_the_calling_worker_is_killed_another_takes_over(
    crowd: Crowd, redis: RedisServer
) -> None:
    await until(lambda: len(crowd.gateway.worker_pids()) == 2)
    crowd.upstream.pause = 6.0
    async with session() as first, session() as others:
        leader = asyncio.create_task(crowd.ask(first))
        await until(lambda: crowd.calls == 1)
        rest = [asyncio.create_task(crowd.ask(others)) for _ in range(40)]
        await asyncio.sleep(1.0)
        os.kill(caller(crowd), signal.SIGKILL)
        killed = time.monotonic()
        await until(lambda: crowd.calls == 2)
        assert time.monotonic() - killed < LEASE_SECONDS + 2
        answers = await asyncio.gather(leader, *rest, return_exceptions=True)
    whole = [answer for answer in answers if isinstance(answer, tuple)]
    assert whole, "nobody was left to take over"
    assert {(status, body) for status, _, body in whole} == {(200, orjson.dumps(completion()))}
    assert crowd.calls == 2


def caller(crowd: Crowd) -> int:
    """The worker whose connection the upstream was last called on (proc(5), `/proc/net/tcp`)."""
    ends = (crowd.upstream.callers[-1], crowd.upstream.port)
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    (inode,) = (
        row[9]
        for row in rows
        if tuple(int(address.partition(":")[2], 16) for address in row[1:3]) == ends
    )
    (found,) = (pid for pid in crowd.gateway.worker_pids() if inode in inodes(pid))
    return found


async def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
