"""Streams are read the same wherever the network cuts them,
and an entry survives the way to chunks and back."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.formats import sse
from proxy.core.formats.stream_collector import StreamCollector

HEAD = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 7,
    "model": "m",
    "system_fingerprint": "fp",
}


def chunk(delta: dict[str, object], finish: str | None = None, **fields: object) -> bytes:
    return sse.encode_event(
        {**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **fields}
    )


TOOLS = (
    chunk({"role": "assistant", "content": None})
    + chunk(
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "a",
                    "type": "function",
                    "function": {"name": "look", "arguments": ""},
                }
            ]
        }
    )
    + chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"x":'}}]})
    + chunk({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]})
    + chunk(
        {
            "tool_calls": [
                {
                    "index": 1,
                    "id": "b",
                    "type": "function",
                    "function": {"name": "find", "arguments": "{}"},
                }
            ]
        }
    )
    + chunk({}, "stop")
    + sse.encode_event(
        {
            **HEAD,
            "choices": [],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
        }
    )
    + sse.DONE_EVENT
)
TEXT = (
    b": keep-alive\n\n"
    + chunk({"role": "assistant", "content": ""})
    + chunk({"content": "Hé"})
    + chunk({"content": "llo 🙂"})
    + chunk({}, "stop")
    + sse.DONE_EVENT
)
REFUSAL = (
    chunk({"role": "assistant", "refusal": "I can"})
    + chunk({"refusal": "not."})
    + chunk({}, "stop")
    + sse.DONE_EVENT
)
REASONING = (
    chunk({"role": "assistant", "reasoning_content": "hm"})
    + chunk({"reasoning_content": "m"})
    + chunk({"content": "yes"})
    + chunk({}, "stop")
    + sse.DONE_EVENT
)


def decoded(data: bytes, *cuts: int) -> list[sse.SseEvent]:
    decoder = sse.SseDecoder()
    edges = [0, *sorted(cuts), len(data)]
    return [
        event for left, right in pairwise(edges) for event in decoder.feed(data[left:right])
    ] + decoder.flush()


def read(data: bytes, *cuts: int) -> tuple[list[bytes], StreamCollector]:
    """What the events say, and what is made of them.

    Bytes may never be lost or changed on the way.
    """
    collector, events = StreamCollector(), decoded(data, *cuts)
    assert b"".join(event.raw for event in events) == data
    for event in events:
        collector.take_event(event)
    return [event.data for event in events if event.data], collector


@pytest.mark.parametrize("stream", [TOOLS, TEXT, REFUSAL, REASONING, TEXT.replace(b"\n", b"\r\n")])
def test_a_stream_reads_the_same_byte_by_byte(stream: bytes) -> None:
    whole = read(stream)
    single = read(stream, *range(len(stream)))
    assert single[0] == whole[0]
    assert single[1].build_completion() == whole[1].build_completion()


@given(st.lists(st.integers(0, len(TOOLS)), max_size=8))
def test_a_stream_reads_the_same_however_it_is_cut(cuts: list[int]) -> None:
    assert read(TOOLS, *cuts)[0] == read(TOOLS)[0]


def test_events_keep_their_bytes() -> None:
    assert b"".join(event.raw for event in sse.SseDecoder().feed(TEXT)) == TEXT


def test_tool_calls_are_put_together() -> None:
    completion = read(TOOLS)[1].build_completion()
    calls = completion["choices"][0]["message"]["tool_calls"]
    assert [
        (call["id"], call["function"]["name"], call["function"]["arguments"]) for call in calls
    ] == [
        ("a", "look", '{"x":1}'),
        ("b", "find", "{}"),
    ]
    assert completion["usage"]["total_tokens"] == 5
    assert completion["object"] == "chat.completion"
    assert completion["system_fingerprint"] == "fp"


@pytest.mark.parametrize(
    ("stream", "field", "text"),
    [
        (TEXT, "content", "Héllo 🙂"),
        (REFUSAL, "refusal", "I cannot."),
        (REASONING, "reasoning_content", "hmm"),
    ],
)
def test_text_fields_are_joined(stream: bytes, field: str, text: str) -> None:
    assert read(stream)[1].build_completion()["choices"][0]["message"][field] == text


@pytest.mark.parametrize("stream", [TOOLS, TEXT, REFUSAL, REASONING])
def test_a_completion_survives_the_way_to_a_stream_and_back(stream: bytes) -> None:
    completion = read(stream)[1].build_completion()
    again = read(b"".join(sse.replay_completion(completion, include_usage=True)))
    assert again[1].build_completion() == completion
    assert again[0][-1] == b"[DONE]"


def test_usage_is_replayed_only_when_asked_for() -> None:
    completion = read(TOOLS)[1].build_completion()
    assert b"usage" not in b"".join(sse.replay_completion(completion, include_usage=False))
    assert b'"usage":{"prompt_tokens":3' in b"".join(
        sse.replay_completion(completion, include_usage=True)
    )


def test_several_choices_are_kept_apart() -> None:
    collector = StreamCollector()
    for index, word in ((1, "b"), (0, "a"), (1, "B")):
        collector.take_chunk({**HEAD, "choices": [{"index": index, "delta": {"content": word}}]})
    assert not collector.is_complete
    assert [choice["message"]["content"] for choice in collector.build_completion()["choices"]] == [
        "a",
        "bB",
    ]


def test_an_unfinished_or_failed_stream_is_not_whole() -> None:
    assert not read(chunk({"content": "x"}))[1].is_complete
    assert not read(
        chunk({"content": "x"}, "stop") + sse.encode_event({"error": {"message": "overloaded"}})
    )[1].is_complete
    assert read(chunk({"content": "x"}, "stop"))[1].is_complete


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lines_may_end_in_any_of_three_ways(end: bytes) -> None:
    stream = (b"id: 7\nevent: message\n" + TOOLS).replace(b"\n", end)
    for cuts in ((), range(len(stream)), range(1, len(stream), 7)):
        said, collector = read(stream, *cuts)
        assert said == read(TOOLS)[0]
        assert collector.build_completion() == read(TOOLS)[1].build_completion()


def test_events_that_one_line_end_separates_are_told_apart_as_they_come() -> None:
    stream = (
        chunk({"content": "a"}).strip()
        + b"\n"
        + chunk({"content": "b"}).strip()
        + b"\n"
        + chunk({}, "stop")
        + sse.DONE_EVENT
    )
    for cuts in ((), range(len(stream))):
        said, collector = read(stream, *cuts)
        assert len(said) == 4
        assert collector.is_complete
        assert collector.build_completion()["choices"][0]["message"]["content"] == "ab"
    decoder = sse.SseDecoder()
    assert [event.data for event in decoder.feed(chunk({"content": "a"}).strip() + b"\n")], (
        "it waits for a line that may never come"
    )


def test_data_over_several_lines_is_one_event() -> None:
    said, collector = read(
        b'\xef\xbb\xbfdata: {"choices": [{"index": 0,\ndata: "delta": {"content": "x"},\n'
        b'data: "finish_reason": "stop"}]}\n\n'
    )
    assert len(said) == 1
    assert collector.build_completion()["choices"][0]["message"]["content"] == "x"


def test_a_comment_does_not_wait_for_its_blank_line() -> None:
    assert [event.raw for event in sse.SseDecoder().feed(b": keep-alive\n")] == [b": keep-alive\n"]


@pytest.mark.parametrize("cuts", [(), (7,), range(0, 3 * sse.MAX_EVENT_BYTES, 100_000)])
def test_an_event_too_large_to_be_read_is_passed_on_in_pieces(cuts: tuple[int, ...]) -> None:
    picture = chunk({"images": ["A" * 3 * sse.MAX_EVENT_BYTES]})
    events = decoded(picture + chunk({"content": "x"}, "stop") + sse.DONE_EVENT, *cuts)
    assert max(len(event.raw) for event in events) <= (
        len(picture) if len(cuts) < 2 else 2 * sse.MAX_EVENT_BYTES
    )
    collector = StreamCollector()
    for event in events:
        collector.take_event(event)
    assert (collector.has_ended, collector.is_complete) == (True, True)
    assert collector.spoiled_reason == "an event that is too large to be read"


@pytest.mark.slow
def test_reading_takes_as_long_as_the_stream_and_no_longer() -> None:
    """Whole and in pieces; once the square of either it took minutes."""

    def seconds(data: bytes, piece: int) -> float:
        decoder, collector, begun = sse.SseDecoder(), StreamCollector(), time.process_time()
        for begin in range(0, len(data), piece):
            for event in decoder.feed(data[begin : begin + piece]):
                collector.take_event(event)
        collector.build_completion()
        return time.process_time() - begun

    small = chunk({"content": "word "})
    for made, piece in (
        (lambda n: small * n * 40, 256 * 1024),
        (lambda n: small * n * 40, 1),
        (lambda n: chunk({"x": ["A" * n * 9000]}), 7),
    ):
        fourth, whole = (min(seconds(made(n), piece) for _ in range(3)) for n in (25, 100))
        assert whole < 10 * fourth + 0.05, (piece, fourth, whole)
