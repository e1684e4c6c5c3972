"""What a provider sends is passed on first and understood afterwards;
who shares or repeats an answer gets what the first client got."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest

from plans.snapshot import CacheSettings
from proxy.core.formats import sse
from proxy.pipeline import chain
from proxy.pipeline.toolbox import Toolbox
from tests.support.fakes import (
    FakeClient,
    FakeReply,
    FakeUpstream,
    World,
    ask,
    body,
    chunks_of,
    completion,
    full_plan,
)
from tests.support.gated import GatedReply, GatedUpstream, gate, settled

STREAM = {"content-type": "text/event-stream"}
HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1741569952, "model": "m"}
USAGE = sse.encode_event(
    {
        **HEAD,
        "choices": [],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
    }
)


def exact_plan() -> Any:
    return full_plan(cache=CacheSettings(backend=None))


def events(*deltas: dict[str, Any], finish: str = "stop") -> list[bytes]:
    made = [
        sse.encode_event({**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        for delta in deltas
    ]
    return [
        *made,
        sse.encode_event({**HEAD, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}),
        sse.DONE_EVENT,
    ]


TEXT = events({"role": "assistant", "content": "a"})
CALL = {
    "index": 0,
    "id": "call_a1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": ""},
}
EMPTY_ID = events(
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {
        "tool_calls": [
            {
                "index": 0,
                "id": "",
                "type": "function",
                "function": {"arguments": '{"city": "Oslo"}'},
            }
        ]
    },
    finish="tool_calls",
)
FROM_ONE = events(
    {"role": "assistant", "content": "x"},
    {
        "tool_calls": [
            {
                "index": 1,
                "id": "call_a1",
                "type": "function",
                "function": {"name": "get_weather", "arguments": "{}"},
            }
        ]
    },
    finish="tool_calls",
)
MIXED = events({"content": "4"}, {"content": [{"type": "thinking", "thinking": []}]})


class SaysUpstream(GatedUpstream):
    """Streams `parts`, the first at once and the rest when the gate opens;
    whole answers are `says`."""

    parts: Sequence[bytes] = ()

    async def send(self, *args: Any, stream: bool, **fields: Any) -> FakeReply:
        if not stream:
            return await super().send(*args, stream=stream, **fields)
        self.bodies.append(orjson.loads(args[1]))
        return GatedReply(200, STREAM, list(self.parts), gate=self.gate)


async def led_by_a_stream(
    parts: list[bytes], *others: bytes
) -> tuple[World, FakeClient, list[FakeClient]]:
    """A stream on its way, and requests that come meanwhile:
    the world, the leader and the others."""
    upstream = SaysUpstream()
    upstream.parts = parts
    world = World(upstream=upstream, plan=exact_plan())
    leader = asyncio.create_task(ask(world, body(stream=True)))
    await settled()
    followers = [asyncio.create_task(ask(world, raw)) for raw in others]
    await settled()
    gate(world).set()
    return world, await leader, list(await asyncio.gather(*followers))


@pytest.mark.parametrize(
    ("parts", "arguments"),
    [(EMPTY_ID, '{"city": "Oslo"}'), (FROM_ONE, "{}")],
    ids=["empty id", "from one"],
)
async def test_a_whole_request_that_shares_a_streams_call_gets_the_call_as_it_was(
    parts: list[bytes], arguments: str
) -> None:
    world, leader, (whole, streamed) = await led_by_a_stream(parts, body(), body(stream=True))
    assert leader.received == streamed.received == b"".join(parts)
    (call,) = orjson.loads(whole.received)["choices"][0]["message"]["tool_calls"]
    assert (call["id"], call["function"]) == (
        "call_a1",
        {"name": "get_weather", "arguments": arguments},
    )
    assert len(world.ledger.attempts) == 1


async def test_who_waits_for_a_whole_answer_that_a_stream_does_not_come_to_makes_its_own_call() -> (
    None
):
    world, leader, (whole, other, streamed) = await led_by_a_stream(
        MIXED, body(), body(), body(stream=True)
    )
    assert leader.received == streamed.received == b"".join(MIXED)
    assert orjson.loads(whole.received) == orjson.loads(other.received) == completion()
    assert len(world.ledger.attempts) == 3
    assert {event.outcome for event in world.ledger.events} == {"ok"}


async def test_an_odd_stream_is_not_kept_though_its_finish_looks_well() -> None:
    world = World()
    for _ in range(2):
        world.upstream.reply = FakeReply(200, STREAM, MIXED)
        assert (await ask(world, body(stream=True))).received == b"".join(MIXED)
    assert (len(world.ledger.attempts), world.exact.entries, world.semantic.entries) == (2, {}, {})


@pytest.mark.parametrize(
    "content_type",
    [
        {"content-type": "Text/Event-Stream; charset=UTF-8"},
        {"content-type": "application/octet-stream"},
        {},
    ],
)
@pytest.mark.parametrize("status", [200, 201])
async def test_a_stream_is_known_by_what_it_holds(
    content_type: dict[str, str], status: int
) -> None:
    world = World()
    for first in ([], [b"\n", b"\n"], [b": hello\n\n"], [b"\xef\xbb\xbf"]):
        world.upstream.reply = FakeReply(status, content_type, first + TEXT)
        client = await ask(world, body(stream=True, plan=None))
        assert (client.status, client.received) == (200, b"".join(first + TEXT))
        assert client.headers["content-type"].startswith("text/event-stream")


async def test_a_whole_answer_of_another_media_type_is_a_whole_answer() -> None:
    world = World()
    for kind in ({"content-type": "text/plain"}, {}):
        world.upstream.reply = FakeReply(200, kind, [b" \n", orjson.dumps(completion("x"))])
        assert (
            orjson.loads((await ask(world, body(plan=None))).received)["choices"][0]["message"][
                "content"
            ]
            == "x"
        )
        world.upstream.reply = FakeReply(200, kind, [orjson.dumps(completion("x"))])
        assert (
            chunks_of(await ask(world, body(plan=None, stream=True)))[1]["choices"][0]["delta"][
                "content"
            ]
            == "x"
        )


async def test_a_stream_that_nobody_asked_for_is_put_together() -> None:
    world = World()
    world.upstream.reply = FakeReply(200, STREAM, [*TEXT[:-1], USAGE, sse.DONE_EVENT])
    for tier in ("miss", "exact"):
        client = await ask(world, body())
        assert (client.headers["x-tokenthrift-cache"], client.headers["content-type"]) == (
            tier,
            "application/json",
        )
        assert orjson.loads(client.received)["choices"][0]["message"]["content"] == "a"
    assert world.ledger.events[0].prompt_tokens == 9


@pytest.mark.parametrize("parts", [MIXED, TEXT[:1], [sse.DONE_EVENT]])
async def test_one_that_cannot_be_put_together_is_an_error_that_says_so(parts: list[bytes]) -> None:
    world = World()
    world.upstream.reply = FakeReply(200, STREAM, parts)
    client = await ask(world, body())
    assert client.status == 502
    assert (
        "sent a stream to a request for a whole answer"
        in orjson.loads(client.received)["error"]["message"]
    )


@pytest.mark.parametrize(
    "parts", [[sse.DONE_EVENT], [], [b": ping\n\n", sse.DONE_EVENT], [USAGE, sse.DONE_EVENT]]
)
async def test_a_stream_without_an_answer_is_an_error(parts: list[bytes]) -> None:
    world = World()
    world.upstream.reply = FakeReply(200, STREAM, parts)
    client = await ask(world, body(stream=True))
    assert b"[DONE]" not in client.received
    assert (
        orjson.loads(sse.SseDecoder().feed(client.received)[-1].data)["error"]["code"]
        == "upstream_invalid_response"
    )
    assert world.event.outcome == "upstream_error"
    assert not world.exact.entries


ODD = [
    [None],
    [{"message": "text"}],
    [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "x", "tool_calls": "call"},
            "finish_reason": "stop",
        }
    ],
    [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "x", "tool_calls": [7]},
            "finish_reason": "stop",
        }
    ],
    [{"index": 0, "message": {"role": "assistant", "content": {"a": 1}}, "finish_reason": "stop"}],
    [{"index": [0], "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}],
    [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}] * 2,
    [],
]


@pytest.mark.parametrize("choices", ODD, ids=str)
async def test_a_whole_answer_of_an_odd_shape_is_passed_on_as_it_is_and_never_kept(
    choices: list[Any],
) -> None:
    world = World()
    said = orjson.dumps({"id": "1", "object": "chat.completion", "choices": choices})
    world.upstream.reply = FakeReply(200, {"content-type": "application/json"}, [said])
    for _ in range(2):
        client = await ask(world, body())
        assert (client.status, client.received, client.headers["x-tokenthrift-cache"]) == (
            200,
            said,
            "miss",
        )
    assert not world.exact.entries
    streamed = await ask(world, body(stream=True))
    assert (streamed.status, orjson.loads(streamed.received)["error"]["code"]) == (
        502,
        "upstream_invalid_response",
    )
    assert world.event.outcome == "upstream_error"


@pytest.mark.parametrize(
    "odd", [b"-Infinity", b'"\\ud83d"', b"123456789012345678901234567890", b"NaN"]
)
async def test_json_that_only_some_read_is_passed_on_whole(odd: bytes) -> None:
    world = World()
    said = orjson.dumps(completion("x")).replace(b'"refusal":null', b'"refusal":null,"x":' + odd)
    world.upstream.reply = FakeReply(200, {"content-type": "application/json"}, [said])
    for _ in range(2):
        assert (await ask(world, body())).received == said
    assert world.event.prompt_tokens == 100
    assert not world.exact.entries


async def test_those_who_wait_for_an_odd_whole_answer_make_their_own_calls() -> None:
    upstream = GatedUpstream()
    upstream.says = {"choices": [None]}
    world = World(upstream=upstream, plan=exact_plan())
    tasks = [asyncio.create_task(ask(world, body())) for _ in range(3)]
    await settled()
    gate(world).set()
    assert {client.received for client in await asyncio.gather(*tasks)} == {b'{"choices":[null]}'}
    assert len(world.ledger.attempts) == 3


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [301, 302, 304, 307])
async def test_a_redirect_is_no_answer(status: int, stream: bool) -> None:
    world = World()
    world.upstream.reply = FakeReply(
        status,
        {"content-type": "application/json", "location": "http://x"},
        [orjson.dumps(completion())],
    )
    client = await ask(world, body(stream=stream))
    assert (client.status, orjson.loads(client.received)["error"]["code"]) == (
        502,
        "upstream_invalid_response",
    )


async def test_usage_that_a_provider_tells_by_itself_is_shown_where_nothing_was_asked_for() -> None:
    world = World()
    route = replace(world.source.config.routes["smart/balanced"])
    for asks, shown in ((True, False), (False, True)):
        upstream = replace(route.upstream, stream_usage=asks)
        world.source.config = replace(
            world.source.config, routes={route.name: replace(route, upstream=upstream)}
        )
        world.upstream.reply = FakeReply(200, STREAM, [*TEXT[:-1], USAGE, sse.DONE_EVENT])
        client = await ask(world, body(stream=True, plan=None))
        assert (USAGE in client.received) is shown
        assert world.event.prompt_tokens == 9


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
async def test_usage_is_hidden_with_its_line_ends_however_the_bytes_are_cut(end: bytes) -> None:
    hidden = b"".join(TEXT).replace(b"\n", end)
    whole = (b"".join(TEXT[:-1]) + b"event: x\nid: 4\n" + USAGE + sse.DONE_EVENT).replace(
        b"\n", end
    )
    for size in (1, 5, len(whole)):
        world = World()
        world.upstream.reply = FakeReply(
            200, STREAM, [whole[at : at + size] for at in range(0, len(whole), size)]
        )
        client = await ask(world, body(stream=True, plan=None))
        assert client.received.replace(end, b"\n").rstrip(b"\n") == hidden.replace(
            end, b"\n"
        ).rstrip(b"\n")


async def test_what_comes_after_the_end_is_passed_on_and_a_provider_that_hangs_keeps_nobody() -> (
    None
):
    world = World()
    world.upstream.reply = FakeReply(
        200, STREAM, [*TEXT, b"data: [DONE]\n\n", b": bye\n\n"], hang=True
    )
    async with asyncio.timeout(5):
        client = await ask(world, body(stream=True))
    assert client.received == b"".join(TEXT) + b"data: [DONE]\n\n: bye\n\n"
    assert world.event.outcome == "ok"


class Broken(Exception):
    """A fault that nobody thought of."""


@pytest.mark.parametrize("stream", [False, True])
async def test_a_fault_before_the_status_is_one_error_object(
    monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    async def broken(call: Any, tools: Toolbox) -> Any:
        raise Broken("a secret")

    world = World()
    monkeypatch.setattr(chain, "REPLY", (broken, *chain.REPLY))
    client = await ask(world, body(stream=stream))
    assert (client.status, orjson.loads(client.received)["error"]["code"]) == (
        500,
        "internal_error",
    )
    assert client.headers["x-request-id"] == world.event.event_id
    assert (
        len(world.ledger.events),
        world.event.outcome,
        world.event.status,
        world.event.error_code,
    ) == (
        1,
        "failed",
        500,
        "internal_error",
    )
    assert not world.exact.entries


async def test_a_fault_within_a_stream_is_one_error_event(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()

    class BrokenReply(FakeReply):
        async def iter_chunks(self) -> Any:
            yield TEXT[0]
            raise Broken("a secret")

    world.upstream.reply = BrokenReply(200, STREAM, [])
    client = await ask(world, body(stream=True))
    assert client.received.startswith(TEXT[0])
    assert (
        orjson.loads(sse.SseDecoder().feed(client.received)[-1].data)["error"]["code"]
        == "internal_error"
    )
    assert b"secret" not in client.received
    assert (len(world.ledger.events), world.event.outcome, world.event.prompt_tokens > 0) == (
        1,
        "failed",
        True,
    )
    assert not world.exact.entries


async def test_a_fault_of_our_reading_costs_the_client_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any) -> None:
        raise Broken("a secret")

    monkeypatch.setattr("proxy.core.formats.stream_collector.StreamCollector.take_event", broken)
    world = World()
    world.upstream.reply = FakeReply(200, STREAM, TEXT)
    client = await ask(world, body(stream=True))
    assert client.received.startswith(b"".join(TEXT[:-1]))
    assert not world.exact.entries


@pytest.mark.parametrize("stream", [True, False])
async def test_others_have_their_turn_while_many_small_events_are_read(stream: bool) -> None:
    """A provider may send hundreds of kilobytes at once, in which each line end is an event."""
    turns, ended = 0, False

    async def others() -> None:
        nonlocal turns
        while not ended:
            turns += 1
            await asyncio.sleep(0)

    class OneUpstream(FakeUpstream):
        async def send(self, *args: Any, **fields: Any) -> FakeReply:
            return FakeReply(200, STREAM, [b"\n" * 256 * 1024 + b"".join(TEXT)])

    world = World(upstream=OneUpstream())
    waiting = asyncio.create_task(others())
    client = await ask(world, body(stream=stream))
    ended = True
    await waiting
    assert client.status == 200
    assert turns >= 64
