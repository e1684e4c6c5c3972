"""Two workers and one Redis: a call belongs to one of them, both hear it,
and whatever falls silent is done without."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import msgpack
import orjson
import pytest
import redis.asyncio

from plans.snapshot import CacheSettings
from proxy.core.answers import CachedAnswer, CompleteAnswer
from proxy.core.caching.envelope import pack_envelope
from proxy.core.errors import UpstreamTimeout
from proxy.core.flights import Flight, FlightResult
from proxy.core.sealing import Sealer
from proxy.engines.coalescing import messages
from proxy.engines.coalescing.messages import BadMessage
from proxy.engines.coalescing.redis import LEASE_SECONDS, RedisLeases
from proxy.engines.coalescing.remote_flight import RemoteFlight
from proxy.engines.exact.redis import RedisExactCache
from proxy.pipeline import chain
from proxy.runtime.worker_loops import build_lease_renewal_task
from tests.support.entries import COMPLETION, SEALER, envelope
from tests.support.fakes import FakeClient, World, ask, body, chunks_of, completion, full_plan
from tests.support.gated import GatedUpstream, gate
from tests.support.servers import RedisServer

LOOSE = 5.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    made = RedisServer(tmp_path_factory.mktemp("redis"), search=False)
    yield made
    made.kill()


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    return f"t{abs(hash(request.node.name))}"


class Worker:
    """A gateway made of fakes, but for its exact tier and its leases."""

    def __init__(self, url: str, prefix: str) -> None:
        self.world = World(
            upstream=GatedUpstream(), plan=full_plan(cache=CacheSettings(backend=None))
        )
        exact = RedisExactCache(url, prefix=prefix, timeout=1)
        self.leases = RedisLeases(
            url, self.world.tools.flights, sealer=SEALER, prefix=prefix, timeout=1
        )
        limits = replace(self.world.tools.limits, cache_seconds=1.0)
        self.world.tools = replace(
            self.world.tools, exact_cache=exact, leases=self.leases, limits=limits
        )
        self.running = asyncio.ensure_future(
            asyncio.gather(self.leases.listen(), build_lease_renewal_task(self.leases).run())
        )

    async def dies(self) -> None:
        """As if killed: it renews nothing, says nothing, hears nothing."""
        self.running.cancel()
        with suppress(asyncio.CancelledError):
            await self.running
        await self.leases.close()

    def asks(self, **fields: Any) -> tuple[FakeClient, "asyncio.Task[Any]"]:
        call = self.world.call(body(**fields))
        assert isinstance(call.client, FakeClient)
        return call.client, asyncio.create_task(chain.run(call, self.world.tools))

    @property
    def calls(self) -> int:
        return len(self.world.upstream.bodies)


@asynccontextmanager
async def workers(url: str, prefix: str) -> AsyncIterator[tuple[Worker, Worker]]:
    """Both hear each other before the block begins."""
    one, two = Worker(url, prefix), Worker(url, prefix)
    async with redis.asyncio.Redis.from_url(url) as client:
        while len(await client.pubsub_channels(f"{prefix}:*")) < 2:  # noqa: ASYNC110 -- Redis tells nobody
            await asyncio.sleep(0.01)
    try:
        yield one, two
    finally:
        await asyncio.gather(one.dies(), two.dies())


async def eventually(true: Callable[[], Any]) -> float:
    """How many seconds it took to come true."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() < began + LOOSE + LEASE_SECONDS, "it did not come true"
        await asyncio.sleep(0.01)
    return time.monotonic() - began


async def leads(worker: Worker, **fields: Any) -> tuple[FakeClient, "asyncio.Task[Any]"]:
    """Ask, and return when the provider was asked."""
    client, task = worker.asks(**fields)
    await eventually(lambda: worker.calls)
    return client, task


async def follows(
    leader: Worker, follower: Worker, **fields: Any
) -> tuple[FakeClient, "asyncio.Task[Any]"]:
    """Ask at another worker, and return when the one that calls knows of it."""
    (flight,) = leader.world.tools.flights._flights.values()
    client, task = follower.asks(**fields)
    await eventually(lambda: flight.followers)
    return client, task


@pytest.mark.parametrize("stream", [False, True])
async def test_one_call_serves_both_workers(server: RedisServer, prefix: str, stream: bool) -> None:
    async with workers(server.url, prefix) as (one, two):
        first, leading = await leads(one, stream=stream)
        second, following = await follows(one, two, stream=stream)
        third, beside = two.asks(stream=stream)
        (flight,) = two.world.tools.flights._flights.values()
        await eventually(lambda: flight.followers)
        gate(one.world).set()
        await asyncio.gather(leading, following, beside)
        assert (one.calls, two.calls) == (1, 0)
        for client in (second, third):
            assert client.headers["cache-status"] == "tokenthrift; hit; detail=collapsed"
            if stream:
                assert chunks_of(client) == chunks_of(first)
            else:
                assert client.received == first.received
        assert [
            (e.tier, e.collapsed, e.attempts, e.tokens_saved, e.prompt_tokens)
            for e in two.world.ledger.events
        ] == [("exact", True, 0, 110, 0)] * 2
        assert not two.world.ledger.attempts


async def test_a_stream_is_joined_live_by_all_of_another_worker(
    server: RedisServer, prefix: str
) -> None:
    async with workers(server.url, prefix) as (one, two):
        first, leading = await leads(one, stream=True)
        second, following = await follows(one, two, stream=True)
        third, beside = two.asks(stream=True)
        await eventually(lambda: second.parts and third.parts)
        assert not leading.done()
        gate(one.world).set()
        await asyncio.gather(leading, following, beside)
        assert chunks_of(first) == chunks_of(second) == chunks_of(third)


@pytest.mark.parametrize("stream", [False, True])
async def test_each_worker_answers_in_the_shape_it_was_asked_for(
    server: RedisServer, prefix: str, stream: bool
) -> None:
    async with workers(server.url, prefix) as (one, two):
        _, leading = await leads(one, stream=stream)
        client, following = await follows(one, two, stream=not stream)
        gate(one.world).set()
        await asyncio.gather(leading, following)
        assert b"An answer." in client.received
        assert client.headers["content-type"].startswith(
            "application/json" if stream else "text/event-stream"
        )
        assert two.calls == 0


async def test_an_error_is_shared_once(server: RedisServer, prefix: str) -> None:
    async with workers(server.url, prefix) as (one, two):
        one.world.upstream.error = UpstreamTimeout("The upstream did not answer in time.")
        _, leading = await leads(one)
        client, following = await follows(one, two)
        gate(one.world).set()
        await asyncio.gather(leading, following)
        assert (client.status, orjson.loads(client.received)["error"]["code"]) == (
            504,
            "upstream_timeout",
        )
        assert (one.calls, two.calls) == (1, 0)


async def test_a_stream_that_breaks_off_breaks_off_elsewhere_too(
    server: RedisServer, prefix: str
) -> None:
    async with workers(server.url, prefix) as (one, two):
        assert isinstance(one.world.upstream, GatedUpstream)
        one.world.upstream.breaks = True
        _, leading = await leads(one, stream=True)
        client, following = await follows(one, two, stream=True)
        gate(one.world).set()
        await asyncio.gather(leading, following)
        assert b'"error"' in client.received
        assert b"[DONE]" not in client.received
        assert two.world.event.outcome == "cut"


async def test_a_leader_whose_client_leaves_calls_on_for_another_worker_until_nobody_is_left(
    server: RedisServer, prefix: str
) -> None:
    async with workers(server.url, prefix) as (one, two):
        first, leading = await leads(one)
        second, following = await follows(one, two)
        first.leaves.set()
        await asyncio.sleep(0.3)
        assert not leading.done()
        second.leaves.set()
        assert await eventually(lambda: leading.done() and following.done()) < 1
        assert [worker.world.event.outcome for worker in (one, two)] == ["client_closed"] * 2
        assert isinstance(one.world.upstream, GatedUpstream)
        assert one.world.upstream.stopped == 1


async def test_a_worker_that_died_while_it_followed_keeps_no_call_up(
    server: RedisServer, prefix: str
) -> None:
    async with workers(server.url, prefix) as (one, two):
        first, leading = await leads(one)
        _, following = await follows(one, two)
        first.leaves.set()
        await two.dies()
        assert await eventually(leading.done) < LEASE_SECONDS + 1
        following.cancel()


async def test_when_the_caller_died_another_worker_takes_over_within_the_lease(
    server: RedisServer, prefix: str
) -> None:
    async with workers(server.url, prefix) as (one, two):
        _, leading = await leads(one)
        client, following = await follows(one, two)
        await one.dies()
        assert await eventually(lambda: two.calls) < LEASE_SECONDS + 1.5
        gate(two.world).set()
        await following
        assert orjson.loads(client.received) == completion()
        assert two.world.event.attempts == 1
        leading.cancel()


async def test_a_stream_whose_caller_died_is_cut_and_not_waited_for_without_end(
    server: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.engines.coalescing.remote_flight.MAX_MISSED_HEARTBEATS", 2)
    async with workers(server.url, prefix) as (one, two):
        _, leading = await leads(one, stream=True)
        client, following = await follows(one, two, stream=True)
        await eventually(lambda: client.parts)
        await one.dies()
        await eventually(following.done)
        assert b"[DONE]" not in client.received
        assert two.world.event.outcome == "cut"
        leading.cancel()


async def test_what_was_stored_meanwhile_is_served(server: RedisServer, prefix: str) -> None:
    async with workers(server.url, prefix) as (one, two):
        gate(one.world).set()
        gate(two.world).set()
        await ask(one.world, body())
        (flight,) = one.world.tools.flights._flights.values()
        claim = await two.leases.claim_flight(Flight(flight.key))
        assert (claim.is_ours, claim.stored_value is not None) == (True, True)


async def test_a_lease_is_given_back_when_the_answer_is_stored(
    server: RedisServer, prefix: str
) -> None:
    async with (
        workers(server.url, prefix) as (one, _),
        redis.asyncio.Redis.from_url(server.url) as client,
    ):
        gate(one.world).set()
        await ask(one.world, body())
        assert [key async for key in client.scan_iter(f"{prefix}:flights:*")] == []
        assert len([key async for key in client.scan_iter(f"{prefix}:1:*")]) == 1


async def test_messages_that_were_lost_are_sent_anew(server: RedisServer, prefix: str) -> None:
    async with workers(server.url, prefix) as (one, two):
        _, leading = await leads(one, stream=True)
        hear, lost = two.leases._channel._handle_message, []

        def deaf(data: Any) -> None:
            lost.append(data)
            if len(lost) > 2:
                hear(data)

        two.leases._channel._handle_message = deaf  # type: ignore[method-assign]
        client, following = await follows(one, two, stream=True)
        gate(one.world).set()
        await asyncio.gather(leading, following)
        assert len(chunks_of(client)) == 3
        assert len(lost) > 2
        assert two.calls == 0


async def test_without_redis_each_worker_calls_and_a_follower_does_not_wait_for_it(
    server: RedisServer, prefix: str
) -> None:
    async with workers(server.url, prefix) as (one, two):
        first, leading = await leads(one)
        client, following = await follows(one, two)
        server.kill()
        try:
            assert await eventually(lambda: two.calls) < 2
            gate(one.world).set()
            gate(two.world).set()
            await asyncio.gather(leading, following)
            assert client.received == first.received
        finally:
            server.restart()


async def test_a_frozen_redis_holds_nobody_for_long(server: RedisServer, prefix: str) -> None:
    async with workers(server.url, prefix) as (one, two):
        gate(one.world).set()
        gate(two.world).set()
        with server.frozen():
            began = time.monotonic()
            clients = await asyncio.gather(
                *(ask(worker.world, body()) for worker in (one, two) for _ in range(5))
            )
            assert time.monotonic() - began < LOOSE
        assert {client.status for client in clients} == {200}
        assert (one.calls, two.calls) == (1, 1)


ANYBODY = Sealer("anybody")
FORGED = COMPLETION.replace(b"card", b"me")


@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_said_by_nobody_of_ours_is_not_heard(
    server: RedisServer, prefix: str, stream: bool
) -> None:
    """Whoever can publish knows the channel, the key and the scope, which are no secrets;
    and may say again what was once said."""
    async with (
        workers(server.url, prefix) as (one, two),
        redis.asyncio.Redis.from_url(server.url) as client,
    ):
        _, leading = await leads(one, stream=stream)
        waiting, following = await follows(one, two, stream=stream)
        (mirror,) = two.leases._channel.remote_flights.values()
        landing = messages.encode_result(FlightResult(CachedAnswer(envelope(FORGED), "exact", 3)))
        me = two.leases._worker_id
        forged = [
            msgpack.packb(["landed", mirror.key, 0, landing]),
            messages.pack_message(ANYBODY, me, "landed", mirror.key, mirror.nonce, 0, landing),
            messages.pack_message(SEALER, me, "landed", mirror.key, "of another time", 0, landing),
            messages.pack_message(
                SEALER, "another", "landed", mirror.key, mirror.nonce, 0, landing
            ),
            messages.pack_message(
                ANYBODY, me, "parts", mirror.key, mirror.nonce, 0, 0, [b"data: [DONE]\n\n"]
            ),
            messages.pack_message(ANYBODY, me, "gone", mirror.key, mirror.nonce),
            b"",
        ]
        for data in forged:
            await client.publish(f"{prefix}:flights:to:{me}", data)
        await asyncio.sleep(0.2)
        assert mirror.result is None
        assert b"[DONE]" not in b"".join(mirror.parts)
        gate(one.world).set()
        await asyncio.gather(leading, following)
        assert waiting.status == 200
        assert (one.calls, two.calls) == (1, 0)


@pytest.mark.parametrize(
    "planted", ["worker:1", "dead:1:" + "0" * 32, "x" * 10_000, "", "::", b"\xff\xfe"]
)
@pytest.mark.parametrize("seconds", [None, 60])
async def test_a_lease_that_none_of_ours_took_is_taken_over(
    server: RedisServer, prefix: str, planted: str | bytes, seconds: int | None
) -> None:
    async with (
        workers(server.url, prefix) as (one, _),
        redis.asyncio.Redis.from_url(server.url) as client,
    ):
        await leads(one)
        (key,) = one.world.tools.flights._flights
        await client.set(f"{prefix}:flights:{key}", planted, ex=seconds)
        two = Worker(server.url, prefix)
        gate(two.world).set()
        asked, task = two.asks()
        assert await eventually(task.done) < LEASE_SECONDS
        assert asked.status == 200
        assert two.calls == 1
        await two.dies()


async def test_a_lease_that_never_lapses_holds_nobody(server: RedisServer, prefix: str) -> None:
    async with (
        workers(server.url, prefix) as (one, two),
        redis.asyncio.Redis.from_url(server.url) as client,
    ):
        await leads(one)
        (key,) = one.world.tools.flights._flights
        lock = f"{prefix}:flights:{key}"
        held = await client.get(lock)
        await one.dies()
        await client.set(lock, held or b"")  # said again by somebody, and for ever
        gate(two.world).set()
        asked, task = two.asks()
        assert await eventually(task.done) < LEASE_SECONDS
        assert (asked.status, two.calls) == (200, 1)


async def test_another_scope_s_answer_is_not_served_whoever_says_it(
    server: RedisServer, prefix: str
) -> None:
    async with workers(server.url, prefix) as (one, two):
        _, leading = await leads(one)
        client, following = await follows(one, two)
        (mirror,) = two.leases._channel.remote_flights.values()
        mirror.complete(FlightResult(CachedAnswer(envelope(), "exact", 3)))
        gate(one.world).set()
        gate(two.world).set()
        await asyncio.gather(leading, following)
        assert orjson.loads(client.received) == completion()


def said(*words: Any) -> bytes:
    """As one of our workers says it to another."""
    return messages.pack_message(SEALER, "me", *words)


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\xc1", b"\x93\x01\x02\x03", 7, None, said("parts"), said(1, 2), said(b"x", b"y")),
        msgpack.packb(["landed", "k", 0, ["nobody"]]),
        messages.pack_message(SEALER, "another", "gone", "k"),
        messages.pack_message(Sealer("another"), "me", "gone", "k"),
    ],
)
def test_nonsense_is_no_message(data: Any) -> None:
    with pytest.raises(BadMessage):
        messages.unpack_message(SEALER, "me", data)


def test_a_message_is_read_by_whom_it_is_for() -> None:
    assert messages.unpack_message(SEALER, "me", said("gone", "k", "n")) == ["gone", "k", "n"]


@pytest.mark.parametrize(
    "answer",
    [
        CachedAnswer(envelope(), "exact", 3),
        CompleteAnswer(429, {"retry-after": "3"}, b"{}", None),
        None,
    ],
)
def test_a_landing_comes_down_as_it_was(answer: Any) -> None:
    assert messages.decode_result(messages.encode_result(FlightResult(answer))) == FlightResult(
        answer
    )


@pytest.mark.parametrize(
    "words",
    [
        *(
            None,
            7,
            ["stored"],
            ["stored", b"x", 1, True],
            ["whole", "x", {}, b""],
            ["whole", 200, None, b""],
        ),
        ["whole", 200, {"a": None}, b""],
        ["whole", 200, {}, "text"],
        ["whole", 1e9, {}, b""],
        ["stored", pack_envelope(envelope()), -1, True],
        ["stored", pack_envelope(envelope()), None, True],
    ],
)
def test_nonsense_is_no_landing(words: Any) -> None:
    with pytest.raises(BadMessage):
        messages.decode_result(words)


def test_a_mirror_takes_each_part_once_and_in_order() -> None:
    mirror = RemoteFlight("k", "w:1")
    mirror.receive_parts(1, 0, [b"b"])
    assert not mirror.parts
    mirror.receive_parts(0, 7, [b"a", b"b"])
    mirror.receive_parts(1, 7, [b"b", b"c"])
    mirror.receive_parts(0, 7, [b"a"])
    assert (mirror.parts, mirror.removed_tokens) == ([b"a", b"b", b"c"], 7)
    mirror.receive_result(4, ["nobody"])
    assert mirror.result is None
    for parts in ([b"a", "text"], [None], [7]):
        with pytest.raises(BadMessage):
            mirror.receive_parts(0, 7, parts)  # type: ignore[arg-type]  # as anybody may say it
