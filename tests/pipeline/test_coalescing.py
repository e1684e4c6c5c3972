"""Identical requests in flight within one worker:
one call, one answer, each in the shape asked for."""

import asyncio
import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
import pytest

from plans.snapshot import CacheSettings
from proxy.core.errors import UpstreamTimeout
from proxy.core.formats.stream_collector import StreamCollector
from proxy.core.types import Vector
from proxy.pipeline import chain
from tests.support.fakes import (
    FakeClient,
    FakeEmbedder,
    World,
    ask,
    body,
    chunks_of,
    completion,
    full_plan,
)
from tests.support.gated import GatedUpstream, gate, settled


@pytest.fixture
def world() -> World:
    return World(upstream=GatedUpstream(), plan=full_plan(cache=CacheSettings(backend=None)))


async def together(world: World, *bodies: bytes, secrets: tuple[str, ...] = ()) -> list[FakeClient]:
    """Send them all, let the provider answer when all have arrived; the clients in order."""
    tasks = [asyncio.create_task(ask(world, raw)) for raw in bodies]
    await settled()
    gate(world).set()
    return list(await asyncio.gather(*tasks))


async def test_identical_requests_share_one_call_and_are_counted_as_hits(world: World) -> None:
    clients = await together(world, *[body()] * 20)
    assert {client.received for client in clients} == {orjson.dumps(completion())}
    assert len(world.upstream.bodies) == len(world.ledger.attempts) == 1
    leader, *others = clients
    assert leader.headers["cache-status"] == "tokenthrift; fwd=miss; stored"
    for client in others:
        assert client.headers["cache-status"] == "tokenthrift; hit; detail=collapsed"
        assert (
            client.headers["x-tokenthrift-cache"],
            client.headers["x-tokenthrift-tokens-saved"],
        ) == ("exact", "110")
    events = sorted(world.ledger.events, key=lambda event: event.collapsed)
    assert [event.attempts for event in events] == [1, *[0] * 19]
    assert [event.tier for event in events] == ["miss", *["exact"] * 19]
    assert {(e.tokens_saved, e.prompt_tokens, e.billed_cost) for e in events[1:]} == {
        (110, 0, Decimal(0))
    }
    assert {event.reason for event in events[1:]} == {"collapsed"}


async def test_streams_are_joined_live_and_from_their_start(world: World) -> None:
    first = asyncio.create_task(ask(world, body(stream=True)))
    await settled()
    late = world.call(body(stream=True))
    assert isinstance(late.client, FakeClient)
    second = asyncio.create_task(chain.run(late, world.tools))
    await settled()
    assert late.client.parts, "nothing was heard before the stream ended"
    gate(world).set()
    leader = await first
    await second
    assert chunks_of(leader) == chunks_of(late.client)
    assert "x-tokenthrift-tokens-saved" not in late.client.headers
    assert (world.event.tokens_saved, world.event.served_tokens, world.event.prompt_tokens) == (
        110,
        10,
        0,
    )


@pytest.mark.parametrize("leader", [True, False])
async def test_a_stream_and_a_whole_answer_are_shared(world: World, leader: bool) -> None:
    one, two = await together(world, body(stream=leader), body(stream=not leader))
    streamed, whole = (one, two) if leader else (two, one)
    heard = StreamCollector()
    for chunk in chunks_of(streamed):
        heard.take_chunk(chunk)
    answer = orjson.loads(whole.received)
    assert (
        heard.build_completion()["choices"][0]["message"]["content"]
        == answer["choices"][0]["message"]["content"]
        == "An answer."
    )
    assert len(world.upstream.bodies) == 1
    assert two.headers["cache-status"] == "tokenthrift; hit; detail=collapsed"


async def test_each_sees_the_usage_it_asked_for(world: World) -> None:
    wish: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
    clients = await together(world, body(stream=True), body(**wish), body(stream=True))
    assert len(world.upstream.bodies) == 1
    assert [any(chunk.get("usage") for chunk in chunks_of(client)) for client in clients] == [
        False,
        True,
        False,
    ]


async def leaves(
    world: World, *bodies: bytes, who: int = 0
) -> tuple[list[FakeClient], list[asyncio.Task[Any]]]:
    """Send them all and make one client leave."""
    calls = [world.call(raw) for raw in bodies]
    tasks: list[asyncio.Task[Any]] = [
        asyncio.create_task(chain.run(call, world.tools)) for call in calls
    ]
    await settled()
    clients = [call.client for call in calls if isinstance(call.client, FakeClient)]
    clients[who].leaves.set()
    await settled()
    return clients, tasks


@pytest.mark.parametrize("stream", [False, True])
async def test_a_leader_that_leaves_takes_nobody_with_it(world: World, stream: bool) -> None:
    clients, tasks = await leaves(world, *[body(stream=stream)] * 3)
    gate(world).set()
    await asyncio.gather(*tasks)
    assert clients[1].received == clients[2].received != b""
    assert len(world.upstream.bodies) == 1
    leader = next(event for event in world.ledger.events if event.attempts)
    assert (leader.outcome, leader.prompt_tokens, leader.is_counted) == (
        "client_closed",
        100,
        False,
    )
    assert len(world.exact.entries) == 1, "a whole answer is kept"


@pytest.mark.parametrize("stream", [False, True])
async def test_when_nobody_is_left_the_provider_is_stopped_and_the_next_request_calls_anew(
    world: World, stream: bool
) -> None:
    clients, tasks = await leaves(world, *[body(stream=stream)] * 2)
    assert not tasks[0].done()
    clients[1].leaves.set()
    await asyncio.wait(tasks, timeout=1)
    assert all(task.done() for task in tasks)
    assert [event.outcome for event in world.ledger.events] == ["client_closed"] * 2
    assert not world.exact.entries
    gate(world).set()
    await ask(world, body(stream=stream))
    assert len(world.upstream.bodies) == 2


async def test_a_follower_that_leaves_is_counted_and_disturbs_nobody(world: World) -> None:
    clients, tasks = await leaves(world, body(), body(), who=1)
    assert tasks[1].done()
    assert (world.event.outcome, world.event.status, world.event.plan) == (
        "client_closed",
        499,
        "support",
    )
    gate(world).set()
    await tasks[0]
    assert orjson.loads(clients[0].received) == completion()


class SlowReader(FakeClient):
    """Takes nothing from its second part on until it may."""

    reads: asyncio.Event

    async def send_body(self, data: bytes, *, more: bool) -> None:
        if self.parts:
            await self.reads.wait()
        await super().send_body(data, more=more)


async def test_a_leader_that_reads_slowly_holds_nobody_up_and_gets_everything_in_the_end(
    world: World,
) -> None:
    calls = [world.call(body(stream=True)) for _ in range(3)]
    slow = SlowReader(sent=body(stream=True))
    slow.reads = asyncio.Event()
    calls[0] = replace(calls[0], client=slow)
    leading, *following = [asyncio.create_task(chain.run(call, world.tools)) for call in calls]
    await settled()
    gate(world).set()
    await asyncio.gather(*following)
    assert not leading.done()
    slow.reads.set()
    await leading
    assert isinstance(calls[1].client, FakeClient)
    assert chunks_of(slow) == chunks_of(calls[1].client)


async def test_an_error_answers_all_who_waited_and_the_next_one_tries_anew(world: World) -> None:
    world.upstream.error = UpstreamTimeout("late")
    clients = await together(world, *[body()] * 5)
    assert {client.status for client in clients} == {504}
    assert [client.headers["cache-status"] for client in clients[1:]] == [
        "tokenthrift; fwd=miss; collapsed"
    ] * 4
    assert (
        [event.attempts for event in world.ledger.events].count(1)
        == len(world.upstream.bodies)
        == 1
    )
    world.upstream.error = None
    assert (await ask(world, body())).status == 200


async def test_a_stream_that_breaks_off_breaks_off_for_all(world: World) -> None:
    assert isinstance(world.upstream, GatedUpstream)
    world.upstream.breaks = True
    *streams, whole = await together(world, body(stream=True), body(stream=True), body())
    for client in streams:
        assert b'"code":"upstream_timeout"' in client.received
        assert b"[DONE]" not in client.received
    assert (whole.status, orjson.loads(whole.received)["error"]["code"]) == (
        502,
        "upstream_invalid_response",
    )
    assert sum(event.attempts for event in world.ledger.events) == 1


async def test_an_answer_that_may_not_be_kept_is_given_to_those_who_waited(world: World) -> None:
    world.upstream.says = completion(finish="length")
    clients = await together(world, body(), body())
    assert clients[0].received == clients[1].received
    assert len(world.upstream.bodies) == 1
    assert not world.exact.entries


@pytest.mark.parametrize(
    "fields",
    [{"cache": {"no-store": True}}, {"cache": {"no-cache": True}}, {"plan": None}],
    ids=["no-store", "no-cache", "no plan"],
)
async def test_what_is_not_cached_runs_side_by_side(world: World, fields: dict[str, Any]) -> None:
    await together(world, *[body(**fields)] * 3)
    assert len(world.upstream.bodies) == 3
    assert not any(event.collapsed for event in world.ledger.events)


async def test_a_wish_for_a_cached_answer_does_not_wait_for_one(world: World) -> None:
    first = asyncio.create_task(ask(world, body()))
    await settled()
    assert (await ask(world, body(cache={"only-if-cached": True}))).status == 504
    gate(world).set()
    await first


class BusyEmbedder(FakeEmbedder):
    async def embed(
        self, text: str, *, tenant: int | None = None, within: float = math.inf
    ) -> Vector:
        await asyncio.sleep(0.01)
        return await super().embed(text, tenant=tenant, within=within)


async def test_what_the_leader_finds_by_meaning_serves_all_without_another_embedding() -> None:
    world = World(embedder=BusyEmbedder())
    await ask(world, body("how do I pay?"))
    embedded = len(world.embedder.texts)
    clients = await asyncio.gather(*(ask(world, body("How do I pay?")) for _ in range(4)))
    assert {client.headers["x-tokenthrift-cache"] for client in clients} == {"semantic"}
    assert len(world.embedder.texts) == embedded + 1
    assert not any(event.collapsed for event in world.ledger.events)


async def test_compressed_once_and_saved_in_full_by_all() -> None:
    world = World(upstream=GatedUpstream())
    whole, streamed = body(history=5), body(history=5, stream=True)
    await together(world, streamed, streamed, whole)
    leader, *others = sorted(world.ledger.events, key=lambda event: event.collapsed)
    assert leader.asked_tokens == 100 + 100
    assert [(event.asked_tokens, event.tokens_saved) for event in others] == [(200, 210)] * 2


class RetryingClient(FakeClient):
    """Asks again in the moment in which its answer ends, before the first call has finished."""

    world: World
    again: FakeClient | None = None

    async def send_body(self, data: bytes, *, more: bool) -> None:
        await super().send_body(data, more=more)
        if not more and self.again is None:
            self.world.upstream.error = None
            self.again = await ask(self.world, self.sent)


@pytest.mark.parametrize("stream", [False, True])
async def test_who_asks_again_after_a_failure_is_not_given_the_same_failure(stream: bool) -> None:
    world = World(plan=full_plan(cache=CacheSettings(backend=None)))
    world.upstream.error = UpstreamTimeout("late")
    raw = body(stream=stream)
    client = RetryingClient(sent=raw)
    client.world = world
    await asyncio.wait_for(chain.run(replace(world.call(raw), client=client), world.tools), 5)
    assert client.status == 504
    assert client.again is not None
    assert client.again.status == 200
    assert len(world.upstream.bodies) == 2
