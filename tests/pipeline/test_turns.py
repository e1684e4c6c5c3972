"""A provider sends a great deal at once: it is worked on in turns, between which others are served.

Turns are counted, not timed.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from proxy.core.formats import sse
from proxy.core.formats.stream_collector import StreamCollector
from tests.pipeline.test_chain_streams import CALL, HEAD, TEXT, USAGE, SaysUpstream, exact_plan
from tests.support.fakes import FakeClient, FakeReply, World, ask, body
from tests.support.gated import gate, settled

STREAM = {"content-type": "text/event-stream"}
READ = 128 * 1024  # as much as one read brings
MOST = 3 * sse.MAX_BATCH_LINES  # events in one turn
PIECE = sse.encode_event(
    {**HEAD, "choices": [{"index": 0, "delta": {"tool_calls": [CALL]}, "finish_reason": None}]}
)
MANY = {
    "comments": b": \n\n" * 100_000,
    "blank lines": b"\n" * 100_000,
    "empty objects": b"data: {}\n\n" * 50_000,
    "deltas": TEXT[0] * 5_000,
    "pieces of a call": PIECE * 5_000,
    "lines of one event": b"data: x\n" * 50_000 + b"\n",
}


def reads(data: bytes) -> list[bytes]:
    return [data[begin : begin + READ] for begin in range(0, len(data), READ)]


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Events taken in so far, by whomever."""
    count, take = [0], StreamCollector.take_event

    def counting(self: StreamCollector, event: sse.SseEvent) -> None:
        count[0] += 1
        take(self, event)

    monkeypatch.setattr(StreamCollector, "take_event", counting)
    return count


async def most_in_a_turn(taken: list[int], work: "asyncio.Task[Any]") -> int:
    most = before = taken[0]
    while not work.done():
        await asyncio.sleep(0)
        most, before = max(most, taken[0] - before), taken[0]
    await work
    return most


@pytest.mark.slow
@pytest.mark.parametrize("data", MANY.values(), ids=MANY)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_read_of_many_events_is_worked_on_in_turns(
    taken: list[int], data: bytes, *, stream: bool
) -> None:
    world = World(plan=exact_plan())
    whole = [*reads(data), *TEXT[:-1], USAGE, sse.DONE_EVENT]
    world.upstream.reply = FakeReply(200, STREAM, whole)
    asking: asyncio.Task[FakeClient] = asyncio.create_task(ask(world, body(stream=stream)))
    assert await most_in_a_turn(taken, asking) <= MOST
    client = asking.result()
    if stream:
        assert client.received == b"".join(part for part in whole if part is not USAGE)
        assert max(map(len, client.parts)) <= max(READ, 8 * 50_001)


async def test_who_joins_a_long_stream_late_reads_it_in_turns(taken: list[int]) -> None:
    upstream = SaysUpstream()
    upstream.parts = [
        TEXT[0],
        *(piece for piece in reads(MANY["deltas"]) for piece in (piece[:90], piece[90:])),
        *TEXT[1:],
    ]
    world = World(upstream=upstream, plan=exact_plan())
    leader = asyncio.create_task(ask(world, body(stream=True)))
    await settled()
    gate(world).set()
    late = [asyncio.create_task(ask(world, body(stream=True))) for _ in range(3)]
    assert await most_in_a_turn(taken, asyncio.gather(leader, *late)) <= 4 * MOST  # type: ignore[arg-type]  # a future will do
    assert {client.result().received for client in late} == {(await leader).received}


async def test_an_ordinary_stream_costs_no_turns_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[float] = []
    sleep = asyncio.sleep

    async def counting(delay: float, *rest: Any) -> Any:
        asked.append(delay)
        return await sleep(delay, *rest)

    monkeypatch.setattr("proxy.core.event_loop.asyncio.sleep", counting)
    world = World(plan=exact_plan())
    world.upstream.reply = FakeReply(200, STREAM, [TEXT[0]] * 200 + TEXT[1:])
    await ask(world, body(stream=True))
    assert not asked


HUGE: dict[str, Callable[[], bytes]] = {
    "calls": lambda: b'{"tool_calls":[' + b",".join([b"{}"] * 200_000) + b"]}",
    "parts": lambda: b'{"content":[' + b",".join([b"1"] * 400_000) + b"]}",
    "fields": lambda: b"{" + b",".join(b'"%d":1' % number for number in range(80_000)) + b"}",
}


@pytest.mark.parametrize("name", HUGE)
async def test_an_event_of_too_many_values_is_passed_on_unread(name: str) -> None:
    event = b'data: {"choices":[{"index":0,"delta":' + HUGE[name]() + b"}]}\n\n"
    world = World(plan=exact_plan())
    world.upstream.reply = FakeReply(200, STREAM, [TEXT[0], *reads(event), *TEXT[1:]])
    client = await ask(world, body(stream=True))
    assert client.received == b"".join([TEXT[0], event, *TEXT[1:]])
    assert not world.exact.entries


def test_a_long_text_full_of_commas_is_read_all_the_same() -> None:
    (event, *_) = sse.SseDecoder().feed(
        sse.encode_event(
            {**HEAD, "choices": [{"index": 0, "delta": {"content": '1,2:3[{"' * 50_000}}]}
        )
    )
    assert event.parsed is not None
    assert not event.is_unread


async def test_a_stream_of_more_values_than_can_be_given_again_is_passed_on_and_forgotten() -> None:
    logprob = {
        "token": "a",
        "logprob": -1.0,
        "top_logprobs": [{"token": "a", "logprob": -1.0}] * 20,
    }
    event = sse.encode_event(
        {
            **HEAD,
            "choices": [
                {"index": 0, "delta": {"content": "a"}, "logprobs": {"content": [logprob] * 100}}
            ],
        }
    )
    for events, kept in ((5, True), (60, False)):
        world = World(plan=exact_plan())
        world.upstream.reply = FakeReply(
            200, STREAM, [event] * events + TEXT[1:-1] + [USAGE, sse.DONE_EVENT]
        )
        client = await ask(world, body(stream=True, logprobs=True))
        assert client.received == event * events + b"".join(TEXT[1:])
        assert bool(world.exact.entries) is kept


@pytest.mark.parametrize("part", ["choices", "content", "tool_calls"])
async def test_a_whole_answer_of_too_many_parts_is_passed_on_and_never_kept(part: str) -> None:
    message: dict[str, Any] = {"role": "assistant", "content": "a"} | (
        {part: [{"a": 1}] * 10_001} if part != "choices" else {}
    )
    choices = [
        {"index": n, "message": message, "finish_reason": "stop"}
        for n in range(10_001 if part == "choices" else 1)
    ]
    world = World(plan=exact_plan())
    world.upstream.reply = FakeReply(
        200, {"content-type": "application/json"}, [orjson.dumps({**HEAD, "choices": choices})]
    )
    client = await ask(world, body())
    assert orjson.loads(client.received)["choices"] == choices
    assert not world.exact.entries


def test_what_a_long_answer_says_beside_its_choices_is_said_once() -> None:
    calls = [
        {"id": str(n), "type": "function", "function": {"name": "f", "arguments": "{}"}}
        for n in range(100)
    ]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    choices = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
    for size in (100, 100_000):
        completion = {
            "id": "c",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "sources": "a" * size,
            "choices": choices,
        }
        stream = b"".join(sse.replay_completion(completion, include_usage=False))
        assert len(stream) < size + 100 * (250 + min(size, 4096))
        collector = StreamCollector()
        for event in sse.SseDecoder().feed(stream):
            collector.take_event(event)
        again = collector.build_completion()
        assert again | {"choices": []} == completion | {"choices": []}
        assert again["choices"][0]["message"]["tool_calls"] == calls


def test_a_batch_of_lines_is_bounded_and_nothing_is_lost() -> None:
    data = (b": \n\n" + b"data: {}\r\n\r\n" + b"id: 1\n\n") * 3_000
    batches = list(sse.SseDecoder().iter_batches(data))
    assert max(map(len, batches)) <= sse.MAX_BATCH_LINES
    assert b"".join(event.raw for batch in batches for event in batch) == data
