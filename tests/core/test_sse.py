"""Streams are read the same wherever the network cuts them, and an entry survives the way to chunks and back."""

from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import sse

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m", "system_fingerprint": "fp"}


def chunk(delta: dict[str, object], finish: str | None = None, **fields: object) -> bytes:
    return sse.event({**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **fields})


TOOLS = (
    chunk({"role": "assistant", "content": None})
    + chunk({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "look", "arguments": ""}}]})
    + chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"x":'}}]})
    + chunk({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]})
    + chunk({"tool_calls": [{"index": 1, "id": "b", "type": "function", "function": {"name": "find", "arguments": "{}"}}]})
    + chunk({}, "stop")
    + sse.event({**HEAD, "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}})
    + sse.DONE
)
TEXT = (
    b": keep-alive\n\n"
    + chunk({"role": "assistant", "content": ""})
    + chunk({"content": "Hé"})
    + chunk({"content": "llo 🙂"})
    + chunk({}, "stop")
    + sse.DONE
)
REFUSAL = chunk({"role": "assistant", "refusal": "I can"}) + chunk({"refusal": "not."}) + chunk({}, "stop") + sse.DONE
REASONING = (
    chunk({"role": "assistant", "reasoning_content": "hm"})
    + chunk({"reasoning_content": "m"})
    + chunk({"content": "yes"})
    + chunk({}, "stop")
    + sse.DONE
)


def read(data: bytes, *cuts: int) -> tuple[list[bytes], sse.Collector]:
    decoder, collector, seen = sse.Decoder(), sse.Collector(), []
    edges = [0, *sorted(cuts), len(data)]
    events = [event for left, right in pairwise(edges) for event in decoder.feed(data[left:right])]
    for event in [*events, *decoder.flush()]:
        seen.append(event.data)
        if event.data and not event.done:
            collector.add(orjson.loads(event.data))
    return seen, collector


@pytest.mark.parametrize("stream", [TOOLS, TEXT, REFUSAL, REASONING, TEXT.replace(b"\n", b"\r\n")])
def test_a_stream_reads_the_same_byte_by_byte(stream: bytes) -> None:
    whole = read(stream)
    single = read(stream, *range(len(stream)))
    assert single[0] == whole[0]
    assert single[1].completion() == whole[1].completion()


@given(st.lists(st.integers(0, len(TOOLS)), max_size=8))
def test_a_stream_reads_the_same_however_it_is_cut(cuts: list[int]) -> None:
    assert read(TOOLS, *cuts)[0] == read(TOOLS)[0]


def test_events_keep_their_bytes() -> None:
    assert b"".join(event.raw for event in sse.Decoder().feed(TEXT)) == TEXT


def test_tool_calls_are_put_together() -> None:
    completion = read(TOOLS)[1].completion()
    calls = completion["choices"][0]["message"]["tool_calls"]
    assert [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in calls] == [
        ("a", "look", '{"x":1}'),
        ("b", "find", "{}"),
    ]
    assert completion["usage"]["total_tokens"] == 5
    assert completion["object"] == "chat.completion"
    assert completion["system_fingerprint"] == "fp"


@pytest.mark.parametrize(
    ("stream", "field", "text"), [(TEXT, "content", "Héllo 🙂"), (REFUSAL, "refusal", "I cannot."), (REASONING, "reasoning_content", "hmm")]
)
def test_text_fields_are_joined(stream: bytes, field: str, text: str) -> None:
    assert read(stream)[1].completion()["choices"][0]["message"][field] == text


@pytest.mark.parametrize("stream", [TOOLS, TEXT, REFUSAL, REASONING])
def test_a_completion_survives_the_way_to_a_stream_and_back(stream: bytes) -> None:
    completion = read(stream)[1].completion()
    again = read(b"".join(sse.replay(completion, include_usage=True)))
    assert again[1].completion() == completion
    assert again[0][-1] == b"[DONE]"


def test_usage_is_replayed_only_when_asked_for() -> None:
    completion = read(TOOLS)[1].completion()
    assert b"usage" not in b"".join(sse.replay(completion, include_usage=False))
    assert b'"usage":{"prompt_tokens":3' in b"".join(sse.replay(completion, include_usage=True))


def test_several_choices_are_kept_apart() -> None:
    collector = sse.Collector()
    for index, word in ((1, "b"), (0, "a"), (1, "B")):
        collector.add({**HEAD, "choices": [{"index": index, "delta": {"content": word}}]})
    assert not collector.whole
    assert [choice["message"]["content"] for choice in collector.completion()["choices"]] == ["a", "bB"]


def test_an_unfinished_or_failed_stream_is_not_whole() -> None:
    assert not read(chunk({"content": "x"}))[1].whole
    assert not read(chunk({"content": "x"}, "stop") + sse.event({"error": {"message": "overloaded"}}))[1].whole
    assert read(chunk({"content": "x"}, "stop"))[1].whole


@pytest.mark.parametrize(
    "bad", [{"choices": ["x"]}, {"choices": [{"delta": "x"}]}, {"choices": [{"delta": {"tool_calls": [{"index": 5}]}}]}]
)
def test_garbage_is_called_garbage(bad: dict[str, object]) -> None:
    with pytest.raises(sse.BadStream):
        sse.Collector().add(bad)


def test_an_endless_event_is_cut_off() -> None:
    decoder = sse.Decoder()
    for _ in range(16):
        decoder.feed(b"x" * 1024 * 1024)
    with pytest.raises(sse.BadStream):
        decoder.feed(b"x")
