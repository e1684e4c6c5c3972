"""What happens when something breaks: tools, upstreams, streams, clients, ourselves."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
import pytest

from plans.pricing import Price
from proxy.core.errors import (
    ClientDisconnected,
    GatewayError,
    UpstreamInvalid,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from proxy.core.formats import sse
from proxy.pipeline import chain
from tests.support.entries import decode, encode
from tests.support.fakes import FakeClient, FakeReply, World, ask, body, completion


@pytest.mark.parametrize("dead", ["exact", "semantic", "embedder", "compressor"])
async def test_any_tool_may_die_and_the_request_is_still_answered(dead: str) -> None:
    world = World()
    getattr(world, dead).down = True
    client = await ask(world, body(history=10))
    assert client.status == 200
    assert world.event.failures


async def test_a_dead_exact_tier_leaves_the_semantic_one_working() -> None:
    world = World()
    world.exact.down = True
    await ask(world, body("How do I pay?"))
    assert (await ask(world, body("how do i pay"))).headers["x-tokenthrift-cache"] == "semantic"


async def test_a_hanging_tool_costs_the_cache_budget_and_no_more() -> None:
    world = World()

    async def hang(key: str) -> bytes | None:
        await asyncio.sleep(60)
        return None

    world.exact.get = hang  # type: ignore[method-assign]
    async with asyncio.timeout(2):
        assert (await ask(world, body())).status == 200
    assert world.event.failures[0] == "exact"


@pytest.mark.parametrize("value", [b"garbage", b"", b"J\x00"])
async def test_a_corrupted_entry_is_a_miss_and_is_replaced(value: bytes) -> None:
    world = World()
    await ask(world, body())
    (key,) = world.exact.entries
    world.exact.entries[key] = value
    world.semantic.entries.clear()
    assert (await ask(world, body())).headers["x-tokenthrift-cache"] == "miss"
    assert (await ask(world, body())).headers["x-tokenthrift-cache"] == "exact"


async def test_another_tenants_value_under_our_key_is_never_served() -> None:
    world = World()
    await ask(world, body())
    ((key, value),) = world.exact.entries.items()
    foreign = encode(replace(decode(value), scope="another"))
    world.exact.entries[key] = foreign
    world.semantic.entries = {
        name: replace(entry, envelope=foreign) for name, entry in world.semantic.entries.items()
    }
    assert (await ask(world, body())).headers["x-tokenthrift-cache"] == "miss"
    world.exact.entries.clear()
    world.semantic.entries = {
        name: replace(entry, envelope=foreign) for name, entry in world.semantic.entries.items()
    }
    assert (await ask(world, body("how do i pay"))).headers["x-tokenthrift-cache"] == "miss"
    assert world.event.reason == "foreign"


async def test_an_entry_of_another_scope_that_an_engine_returns_is_never_served(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An engine whose filter fails gives away neighbours of every tenant;
    the envelope inside may even look like ours."""
    world = World()
    await ask(world, body())
    world.exact.entries.clear()
    kept = dict(world.semantic.entries)
    world.semantic.entries = {name: replace(entry, scope="another") for name, entry in kept.items()}
    assert (await ask(world, body("how do i pay"))).headers["x-tokenthrift-cache"] == "miss"
    assert "pgvector_semantic returned 1 entries of another scope" in caplog.text
    world.exact.entries.clear()
    world.semantic.entries = kept
    assert (await ask(world, body("how do i pay"))).headers["x-tokenthrift-cache"] == "semantic"


@pytest.mark.parametrize("error", [UpstreamUnreachable("gone"), UpstreamTimeout("late")])
@pytest.mark.parametrize("stream", [False, True])
async def test_an_upstream_that_cannot_be_reached_is_our_error_object(
    error: Any, stream: bool
) -> None:
    world = World()
    world.upstream.error = error
    client = await ask(world, body(stream=stream))
    assert (client.status, orjson.loads(client.received)["error"]["code"]) == (
        error.status,
        error.code,
    )
    assert (world.event.outcome, world.event.attempts) == ("upstream_error", 1)
    assert not world.exact.entries


async def test_an_upstreams_own_error_is_passed_through() -> None:
    world = World()
    said = b'{"error":{"message":"slow down","type":"rate_limit_error","param":null,"code":"x"}}'
    world.upstream.reply = FakeReply(
        429, {"content-type": "application/json", "retry-after": "7"}, [said]
    )
    client = await ask(world, body(stream=True))
    assert (client.status, client.received, client.headers["retry-after"]) == (429, said, "7")
    assert not world.exact.entries
    assert world.event.tokens_saved == 0


@pytest.mark.parametrize(
    ("status", "data", "shown"),
    [(503, b"<html>", 503), (200, b"<html>", 502), (200, b'{"ok":1}', 502), (200, b"[]", 502)],
)
async def test_garbage_becomes_an_error_object(status: int, data: bytes, shown: int) -> None:
    world = World()
    world.upstream.reply = FakeReply(status, {"content-type": "text/html"}, [data])
    client = await ask(world, body())
    assert client.status == shown
    assert orjson.loads(client.received)["error"]["code"] == "upstream_invalid_response"
    assert not world.exact.entries


@pytest.mark.parametrize("finish", ["length", "content_filter"])
@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_is_not_whole_is_never_stored(finish: str, stream: bool) -> None:
    world = World()
    world.upstream.says = completion("half an ans", finish=finish)
    assert (await ask(world, body(stream=stream))).status == 200
    assert not world.exact.entries
    assert not world.semantic.entries


@pytest.mark.parametrize(
    ("tail", "error"),
    [([], None), ([], UpstreamTimeout("idle")), ([b'data: {"choices":[{"index":0,"del'], None)],
)
async def test_a_stream_that_breaks_off_ends_in_an_error_and_without_done(
    tail: list[bytes], error: Any
) -> None:
    world = World()
    start = [
        (
            b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"half"},'
            b'"finish_reason":null}]}\n\n'
        )
    ]
    reply = FakeReply(200, {"content-type": "text/event-stream"}, start + tail, error)
    world.upstream.reply = reply
    client = await ask(world, body(stream=True))
    events = sse.SseDecoder().feed(client.received)
    assert "error" in orjson.loads(events[-1].data)
    assert b"[DONE]" not in client.received
    assert (world.event.outcome, world.event.status) == ("cut", 200)
    assert not world.exact.entries
    assert reply.closed


@pytest.mark.parametrize(
    "odd",
    [
        b"data: {garbage}\n\n",
        b'data: {"choices":["x"]}\n\n',
        b'data: ["x"]\n\n',
        b'data: {"choices":"x"}\n\n',
    ],
)
async def test_what_is_not_understood_is_passed_on_and_forgotten(odd: bytes) -> None:
    """By a stream's end nobody knows what was in it:
    it is neither kept nor called the provider's fault."""
    world = World()
    start = (
        b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"half"},'
        b'"finish_reason":"stop"}]}\n\n'
    )
    for end in (b"", sse.DONE_EVENT):
        world.upstream.reply = FakeReply(
            200, {"content-type": "text/event-stream"}, [start, odd, end]
        )
        client = await ask(world, body(stream=True))
        assert client.received == start + odd + end
        assert world.event.outcome == "ok"
    assert len(world.ledger.attempts) == 2
    assert not world.exact.entries


async def test_an_error_inside_a_stream_is_passed_on_and_not_stored() -> None:
    world = World()
    events = [sse.encode_event({"error": {"message": "overloaded"}})]
    world.upstream.reply = FakeReply(200, {"content-type": "text/event-stream"}, events)
    client = await ask(world, body(stream=True))
    assert b"overloaded" in client.received
    assert world.event.outcome == "upstream_error"
    assert not world.exact.entries


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_stops_the_upstream_and_is_counted_once(stream: bool) -> None:
    world = World()
    partial = [
        (
            b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"half"},'
            b'"finish_reason":null}]}\n\n'
        )
    ]
    reply = FakeReply(
        200,
        {"content-type": "text/event-stream" if stream else "application/json"},
        partial,
        hang=True,
    )
    world.upstream.reply = reply
    call = world.call(body(stream=stream))
    assert isinstance(call.client, FakeClient)
    running = asyncio.create_task(chain.run(call, world.tools))
    await asyncio.sleep(0.05)
    call.client.leaves.set()
    await asyncio.wait_for(running, 1)
    (event,) = world.ledger.events
    assert event.outcome == "client_closed"
    assert event.estimated  # nobody said what the provider billed: the prompt at least
    assert event.prompt_tokens > 0
    assert (event.completion_tokens > 0) is stream
    assert (event.bill, event.billed_cost is None) == (
        ("list", False) if stream else ("unknown", True)
    )
    assert world.event.attempts == 1
    assert not world.exact.entries
    assert reply.closed or not stream


async def test_a_bug_is_a_500_object_and_is_counted() -> None:
    world = World()

    async def bug(*_args: object, **_kwargs: object) -> None:
        raise ZeroDivisionError("a secret prompt")

    world.semantic.find_nearest = bug  # type: ignore[assignment,method-assign]
    client = await ask(world, body())
    assert client.status == 500
    assert b"secret" not in client.received
    assert world.event.outcome == "failed"


async def test_every_request_is_recorded_exactly_once() -> None:
    world = World()
    for raw in (body(), body(), b"{", body(model="x"), body("how do i pay"), body(plan=None)):
        await ask(world, raw)
    assert len(world.ledger.events) == len({event.event_id for event in world.ledger.events}) == 6
    assert (
        sum(event.attempts for event in world.ledger.events)
        == len(world.upstream.bodies)
        == len(world.ledger.attempts)
    )


# What a call costs that nobody heard the end of.


@pytest.mark.parametrize(
    ("error", "unknown"),
    [
        (UpstreamTimeout("late"), True),
        (UpstreamInvalid("nonsense"), True),
        (UpstreamUnreachable("the connection broke", had_request=True), True),
        (UpstreamUnreachable("nobody there"), False),
    ],
    ids=str,
)
async def test_a_call_given_up_is_billed_as_unknown_and_one_that_was_never_sent_as_nothing(
    error: GatewayError, unknown: bool
) -> None:
    world = World()
    world.upstream.error = error
    client = await ask(world, body())
    assert client.status == error.status
    assert (client.headers.get("x-should-retry") == "false") is unknown
    event = world.event
    assert (event.bill, event.billed_cost) == (("unknown", None) if unknown else ("list", 0))
    assert (event.prompt_tokens > 0) is unknown
    assert event.estimated is unknown


@pytest.mark.parametrize(
    ("status", "unknown"),
    [(504, True), (524, True), (408, True), (500, False), (429, False), (400, False)],
)
async def test_a_provider_s_door_that_gave_up_may_have_been_worked_behind(
    status: int, unknown: bool
) -> None:
    world = World()
    world.upstream.reply = FakeReply(
        status, {"content-type": "application/json"}, [b'{"error":{"message":"no"}}']
    )
    client = await ask(world, body())
    assert (world.event.bill == "unknown") is unknown
    assert (client.headers.get("x-should-retry") == "false") is unknown
    world.upstream.reply.headers = world.upstream.reply.headers | {"x-should-retry": "true"}  # type: ignore[operator]  # a dict
    assert (await ask(world, body())).headers["x-should-retry"] == "true"  # it knows better


async def test_a_server_that_stops_records_whom_it_was_asking_for_whom() -> None:
    world = World()
    world.upstream.hang = True
    running = asyncio.create_task(chain.run(world.call(body()), world.tools))
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    event = world.event
    assert (event.tenant, event.route, event.attempts, event.outcome) == (
        "acme",
        "smart/balanced",
        1,
        "client_closed",
    )
    assert (event.bill, event.billed_cost) == ("unknown", None)


@pytest.mark.parametrize("ends", [True, False])
async def test_a_stream_that_broke_off_is_counted_by_what_was_seen(ends: bool) -> None:
    """Its first chunk said what the prompt costs, and as much as nothing of the answer."""
    world = World()
    chunks = [
        {
            "choices": [{"index": 0, "delta": {"content": "word " * 50}}],
            "usage": {"prompt_tokens": 77, "completion_tokens": 1},
        }
    ]
    chunks += [{"choices": [{"index": 0, "delta": {"reasoning_content": "word " * 50}}]}]
    if ends:
        chunks += [
            {
                "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
                "usage": {"completion_tokens": 140},
            }
        ]
    events = [sse.encode_event(chunk) for chunk in chunks] + ([sse.DONE_EVENT] if ends else [])
    world.upstream.reply = FakeReply(200, {"content-type": "text/event-stream"}, events)
    await ask(world, body(stream=True))
    event = world.event
    assert (event.prompt_tokens, event.estimated, event.outcome) == (
        77,
        not ends,
        "ok" if ends else "cut",
    )
    assert event.completion_tokens == 140 if ends else 98 <= event.completion_tokens <= 104


async def test_an_absurd_report_or_price_costs_no_row() -> None:
    world = World()
    dear = Price(input=Decimal(99_999_999), output=Decimal(99_999_999))
    route = world.source.config.routes["smart/balanced"]
    world.source.config.routes["smart/balanced"] = replace(route, price=dear)
    world.upstream.says = completion()
    world.upstream.says["usage"] = {"prompt_tokens": 90_000_000, "completion_tokens": 90_000_000}
    await ask(world, body())
    assert world.event.billed_cost == Decimal(99_999_999)
    world.upstream.says["usage"] = {"prompt_tokens": 2**52, "completion_tokens": 2**52}
    await ask(world, body("another"))
    assert world.event.estimated
    assert world.event.prompt_tokens < 100


@pytest.mark.parametrize("number", [2**63 - 1, -1, 2**52])
async def test_absurd_numbers_in_a_store_cost_no_row(number: int) -> None:
    world = World()
    await ask(world, body())
    ((key, value),) = world.exact.entries.items()
    world.exact.entries[key] = encode(
        replace(decode(value), asked_tokens=number, completion_tokens=number)
    )
    await ask(world, body())
    event = world.event
    assert event.tier == "semantic"  # the exact entry is refused, the near one is whole
    assert 0 <= event.asked_tokens <= 10**9
    assert 0 <= event.served_tokens <= 10**9
    assert abs(event.tokens_saved) <= 10**9
    assert event.would_cost is not None
    assert event.would_cost < 10**8


async def test_a_client_that_is_gone_when_the_whole_answer_comes_is_billed_for_it() -> None:
    world = World()
    call = world.call(body())

    async def gone(*_: object, **__: object) -> None:
        raise ClientDisconnected

    call.client.start_response = gone  # type: ignore[method-assign]
    await chain.run(call, world.tools)
    event = world.event
    assert (event.outcome, event.bill, event.estimated) == ("client_closed", "list", False)
    assert (event.prompt_tokens, event.completion_tokens, event.billed_cost) == (
        100,
        10,
        Decimal("0.00012"),
    )


async def test_a_stream_that_a_stopping_server_ends_is_of_unknown_cost() -> None:
    world = World()
    partial = [sse.encode_event({"choices": [{"index": 0, "delta": {"content": "half"}}]})]
    world.upstream.reply = FakeReply(200, {"content-type": "text/event-stream"}, partial, hang=True)
    running = asyncio.create_task(chain.run(world.call(body(stream=True)), world.tools))
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (world.event.attempts, world.event.bill, world.event.billed_cost) == (1, "unknown", None)


@pytest.mark.parametrize("said", ["", "word " * 30])
async def test_a_stream_that_ends_in_an_error_is_billed_for_what_it_said(said: str) -> None:
    world = World()
    chunks = [{"choices": [{"index": 0, "delta": {"content": said}}]}] if said else []
    events = [
        sse.encode_event(chunk)
        for chunk in (*chunks, {"error": {"message": "overloaded", "code": 503}})
    ]
    world.upstream.reply = FakeReply(200, {"content-type": "text/event-stream"}, events)
    await ask(world, body(stream=True))
    event = world.event
    assert event.outcome == "upstream_error"
    assert (event.prompt_tokens > 0, event.completion_tokens > 0) == (bool(said), bool(said))
    assert event.estimated is bool(said)


async def test_usage_in_parts_is_put_together_where_a_stream_was_not_asked_for() -> None:
    world = World()
    chunks = [
        {
            "choices": [{"index": 0, "delta": {"content": "Fine."}}],
            "usage": {"prompt_tokens": 77, "completion_tokens": 1},
        },
        {
            "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
            "usage": {"completion_tokens": 5},
        },
    ]
    world.upstream.reply = FakeReply(
        200, {"content-type": "text/event-stream"}, [*map(sse.encode_event, chunks), sse.DONE_EVENT]
    )
    client = await ask(world, body())
    assert orjson.loads(client.received)["usage"] == {"prompt_tokens": 77, "completion_tokens": 5}
    assert (world.event.prompt_tokens, world.event.completion_tokens, world.event.estimated) == (
        77,
        5,
        False,
    )
