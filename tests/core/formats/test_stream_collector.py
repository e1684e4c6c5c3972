"""A stream is put together to what its clients saw, or to nothing at all."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.formats import sse
from proxy.core.formats.completion_checks import is_replayable
from proxy.core.formats.stream_collector import MAX_COLLECTED_BYTES, StreamCollector

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1741569952, "model": "m"}


def collected(*deltas: dict[str, Any], finish: str = "stop") -> StreamCollector:
    """What is made of these deltas of one choice, the finish behind them."""
    heard = StreamCollector()
    for delta in deltas:
        heard.take_chunk({**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    heard.take_chunk({**HEAD, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    return heard


def message(*deltas: dict[str, Any]) -> dict[str, Any]:
    """The message, which must be sound and come back from a stream as it is."""
    heard = collected(*deltas)
    completion = heard.build_completion()
    assert heard.is_sound(completion), heard.spoiled_reason
    assert given_again(completion) == completion
    found: dict[str, Any] = completion["choices"][0]["message"]
    return found


def given_again(completion: dict[str, Any]) -> dict[str, Any]:
    again, decoder = StreamCollector(), sse.SseDecoder()
    for event in decoder.feed(b"".join(sse.replay_completion(completion, include_usage=True))):
        again.take_event(event)
    assert again.is_sound(again.build_completion()), again.spoiled_reason
    return again.build_completion()


def calls(*pieces: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Id, name and arguments of the calls that these pieces come to, each in a delta of its own."""
    made = message(
        {"role": "assistant", "content": None}, *({"tool_calls": [piece]} for piece in pieces)
    )["tool_calls"]
    return [
        (call.get("id", ""), call["function"]["name"], call["function"].get("arguments", ""))
        for call in made
    ]


def piece(arguments: str = "", *, name: str | None = None, **fields: Any) -> dict[str, Any]:
    function = {"arguments": arguments} | ({} if name is None else {"name": name})
    return {**fields, "function": function}


def test_a_first_index_of_one_is_one_call() -> None:
    assert calls(
        piece(index=1, id="toolu_1", type="function", name="look"),
        piece('{"city": "Oslo"}', index=1, type="function"),
    ) == [("toolu_1", "look", '{"city": "Oslo"}')]


@pytest.mark.parametrize("index", [{}, {"index": None}])
def test_calls_without_an_index_are_told_apart_by_their_ids(index: dict[str, Any]) -> None:
    one, other = (
        piece("{}", name="look", id="a", type="function"),
        piece('{"x":', name="find", id="b", type="function"),
    )
    assert calls(one | index, other | index, piece("1}") | index) == [
        ("a", "look", "{}"),
        ("b", "find", '{"x":1}'),
    ]


def test_calls_out_of_order_are_put_in_order() -> None:
    made = calls(
        piece(index=1, id="b", name="find"),
        piece(index=0, id="a", name="look"),
        piece("{}", index=1),
        piece("[]", index=0),
    )
    assert made == [("a", "look", "[]"), ("b", "find", "{}")]


def test_two_whole_calls_under_one_index_are_two() -> None:
    assert calls(
        piece("{}", index=0, id="a", name="look"), piece("[]", index=0, id="b", name="find")
    ) == [
        ("a", "look", "{}"),
        ("b", "find", "[]"),
    ]


@pytest.mark.parametrize("id_", ["", "call_a1", None])
def test_an_empty_or_repeated_id_is_no_news(id_: str | None) -> None:
    first, later = (
        piece(index=0, id="call_a1", name="look"),
        piece("{}", index=0, id=id_, name="" if id_ == "" else None),
    )
    assert calls(first, later, later) == [("call_a1", "look", "{}{}")]


def test_a_name_is_not_doubled_and_may_come_in_pieces_before_the_arguments() -> None:
    assert calls(
        piece(index=0, id="a", name="look"),
        piece("{", index=0, name="look"),
        piece("}", index=0, name="look"),
    ) == [("a", "look", "{}")]
    assert calls(
        piece(index=0, id="a", name="get_"), piece(index=0, name="weather"), piece("{}", index=0)
    ) == [("a", "get_weather", "{}")]


@pytest.mark.parametrize(
    "pieces",
    [
        # Another name after arguments.
        [piece("{}", index=0, id="a", name="look"), piece("{}", index=0, name="find")],
        # Said again, or in pieces?
        [piece(index=0, id="a", name="look"), piece("{}", index=0, name="look_up")],
        # Another id for no other call.
        [piece("{}", index=0, id="a", name="look"), piece("{}", index=0, id="z")],
        [piece("{}", index=0, id="a")],  # no name at all
        [piece("{}", index="0", id="a", name="look")],
        [piece("{}", index=-1, id="a", name="look")],
        [piece("{}", index=True, id="a", name="look")],
        [piece("{}", name="look"), piece("{}", name="look")],  # two calls, or one said twice?
        ["look"],
        [{"index": 0, "id": "a", "function": ["look"]}],
        [{"index": 0, "id": "a", "function": {"name": "look", "arguments": ["x"]}}],
        [{"index": 0, "id": 7, "function": {"name": "look", "arguments": "{}"}}],
    ],
)
def test_calls_of_which_clients_make_different_things_come_to_nothing(pieces: list[Any]) -> None:
    heard = collected(*({"tool_calls": [each]} for each in pieces))
    assert not heard.is_sound(heard.build_completion())
    assert heard.is_complete
    assert not heard.has_missed


def test_parts_and_then_texts_are_each_there_once() -> None:
    thinking = [
        [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]
        for text in ("Hmm", " four.")
    ]
    said = message(
        {"role": "assistant", "content": thinking[0]},
        {"content": thinking[1]},
        {"content": "4"},
        {"content": "."},
    )
    assert said["content"] == [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hmm four."}]},
        {"type": "text", "text": "4."},
    ]
    assert (
        message({"content": ""}, {"content": thinking[0]}, {"content": "4"})["content"][1]["text"]
        == "4"
    )


@pytest.mark.parametrize(
    "deltas",
    [
        [{"content": "4"}, {"content": [{"type": "thinking", "thinking": []}]}],
        [
            {"content": [{"type": "thinking", "thinking": []}]},
            {"content": "4"},
            {"content": [{"type": "thinking", "thinking": []}]},
        ],
        [{"content": [{"type": "text", "text": "4"}]}],
        [{"content": 4}],
        [{"content": {"text": "4"}}],
        [{"content": "4", "role": "assistant"}, {"role": "tool"}],
        [{"content": "4", "cot": "a"}, {"cot": "b"}],
        [{"content": "4", "cot": "a"}, {"cot": "a"}],
        [{"refusal": ["no"]}],
        [{"content": "4", "tool_calls": "look"}],
    ],
)
def test_what_clients_may_read_in_several_ways_comes_to_nothing(
    deltas: list[dict[str, Any]],
) -> None:
    heard = collected(*deltas)
    assert not heard.is_sound(heard.build_completion())


def test_details_of_one_index_are_one_with_the_signature_last() -> None:
    kind = {"type": "reasoning.text", "index": 0}
    said = message(
        {
            "role": "assistant",
            "content": "",
            "reasoning_details": [{**kind, "text": "I ", "format": "anthropic-claude-v1"}],
        },
        {"reasoning_details": [{**kind, "text": "think."}]},
        {"reasoning_details": [{**kind, "signature": "sig=="}]},
        {
            "reasoning_details": [
                {"type": "reasoning.encrypted", "index": 0, "data": "x"},
                {**kind, "index": 1, "text": "More"},
            ]
        },
        {"content": "Yes"},
    )
    assert said["reasoning_details"] == [
        {**kind, "text": "I think.", "format": "anthropic-claude-v1", "signature": "sig=="},
        {"type": "reasoning.encrypted", "index": 0, "data": "x"},
        {**kind, "index": 1, "text": "More"},
    ]


def test_items_without_an_index_and_those_of_another_id_stay_apart() -> None:
    cited = [
        {"type": "url_citation", "url_citation": {"url": f"https://example.com/{n}"}}
        for n in range(3)
    ]
    secret = [
        {"type": "reasoning.encrypted", "index": 0, "id": f"rs_{n}", "data": "x"} for n in range(2)
    ]
    said = message(
        {"content": "a", "annotations": cited[:1]},
        {"annotations": cited[1:], "reasoning_details": secret[:1]},
        {"reasoning_details": secret[1:]},
    )
    assert (said["annotations"], said["reasoning_details"]) == (cited, secret)


def test_empty_calls_and_padding_leave_no_trace() -> None:
    heard = StreamCollector()
    for content, thought in (("", "Think "), ("", "more"), ("Hello", "")):
        delta = {
            "role": "assistant",
            "content": content,
            "reasoning_content": thought,
            "tool_calls": [],
        }
        heard.take_chunk(
            {
                **HEAD,
                "obfuscation": "xK3",
                "choices": [
                    {"index": 0, "delta": delta | {"obfuscation": "q"}, "finish_reason": None}
                ],
            }
        )
    heard.take_chunk(
        {**HEAD, "obfuscation": "", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    )
    completion = heard.build_completion()
    assert heard.is_sound(completion)
    assert b"obfuscation" not in orjson.dumps(completion)
    said = completion["choices"][0]["message"]
    assert said == {
        "role": "assistant",
        "content": "Hello",
        "reasoning_content": "Think more",
        "refusal": None,
    }


@pytest.mark.parametrize("index", ["0", 1.0, -1, [0], {"a": 0}, True])
def test_a_choice_of_an_odd_index_is_missed_and_the_rest_is_read(index: Any) -> None:
    heard = collected({"content": "a"})
    heard.take_chunk(
        {
            **HEAD,
            "choices": [{"index": index, "delta": {"content": "b"}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 1},
        }
    )
    assert heard.has_missed
    assert not heard.is_sound(heard.build_completion())
    assert heard.usage == {"prompt_tokens": 3, "completion_tokens": 1}


def test_another_finish_and_a_message_beside_the_deltas_come_to_nothing() -> None:
    odd: dict[str, Any]
    for odd in (
        {"finish_reason": "length"},
        {"message": {"content": "b"}},
        {"text": "b"},
        {"delta": "b"},
        {"logprobs": []},
    ):
        heard = collected({"content": "a"})
        heard.take_chunk({**HEAD, "choices": [{"index": 0, **odd}]})
        assert heard.spoiled_reason, odd
    heard = collected({"content": "a"})
    heard.take_chunk({**HEAD, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    assert not heard.spoiled_reason


@pytest.mark.parametrize(
    "data",
    [
        (
            b'{"choices":[{"index":0,"delta":{"content":"x"},'
            b'"logprobs":{"content":[{"logprob":-Infinity}]}}],"usage":{"prompt_tokens":3}}'
        ),
        b'{"choices":[{"index":0,"delta":{"content":"\\ud83d"}}],"usage":{"prompt_tokens":3}}',
        (
            b'{"choices":[{"index":0,"delta":{"content":"x"},'
            b'"seed":123456789012345678901234567890}],"usage":{"prompt_tokens":3}}'
        ),
    ],
)
def test_json_that_cannot_be_written_again_is_read_for_its_usage_and_not_kept(data: bytes) -> None:
    heard = StreamCollector()
    for event in sse.SseDecoder().feed(
        b"data: "
        + data
        + b"\n\n"
        + sse.encode_event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    ):
        heard.take_event(event)
    assert heard.is_complete
    assert heard.usage == {"prompt_tokens": 3}
    assert not heard.is_sound(heard.build_completion())


def test_digits_in_a_text_are_no_long_number() -> None:
    heard = StreamCollector()
    pi = "3.14159265358979323846264338327950288"
    for event in sse.SseDecoder().feed(
        sse.encode_event(
            {**HEAD, "choices": [{"index": 0, "delta": {"content": pi}, "finish_reason": "stop"}]}
        )
    ):
        heard.take_event(event)
    assert heard.is_sound(heard.build_completion())


def test_more_than_can_be_kept_is_counted_and_let_go() -> None:
    heard, big = (
        StreamCollector(),
        sse.encode_event(
            {**HEAD, "choices": [{"index": 0, "delta": {"content": "A" * 1_000_000}}]}
        ),
    )
    for _ in range(MAX_COLLECTED_BYTES // 1_000_000 + 4):
        for event in sse.SseDecoder().feed(big):
            heard.take_event(event)
    assert heard.spoiled_reason
    assert len(heard.build_completion()["choices"][0]["message"]["content"]) <= MAX_COLLECTED_BYTES


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from(["", "a", "stop", "function", "assistant"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                (
                    "index id type function name arguments content role tool_calls refusal "
                    "message delta text custom input"
                ).split()
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"message": JSON}, optional={"index": JSON, "finish_reason": JSON, "logprobs": JSON}
        ),
        max_size=3,
    )
)
def test_what_may_be_kept_can_be_given_again_and_says_the_same(
    choices: list[dict[str, Any]],
) -> None:
    completion = {**HEAD, "object": "chat.completion", "choices": choices}
    if not is_replayable(completion):
        return
    again, decoder = StreamCollector(), sse.SseDecoder()
    for event in decoder.feed(b"".join(sse.replay_completion(completion, include_usage=True))):
        again.take_event(event)
    assert again.has_ended
    for old, new in zip(
        sorted(choices, key=lambda choice: choice.get("index") or 0),
        again.build_completion()["choices"],
        strict=True,
    ):
        assert (old.get("finish_reason") or None) == (new["finish_reason"] or None)
        assert _texts(old["message"]) == _texts(new["message"])
        assert _called(old["message"]) == _called(new["message"])


def _texts(said: dict[str, Any]) -> Any:
    content = said.get("content")
    if isinstance(content, list):
        content = "".join(
            part["text"]
            for part in content
            if part.get("type") == "text" and isinstance(part.get("text"), str)
        )
    return content or "", said.get("refusal") or ""


def _called(said: dict[str, Any]) -> Any:
    made = [call.get("function", call.get("custom")) for call in said.get("tool_calls") or ()]
    return [(call["name"], call.get("arguments") or "") for call in made]


@given(JSON)
def test_nothing_that_a_stream_says_is_too_odd_to_be_heard(value: Any) -> None:
    heard = StreamCollector()
    for choices in (
        [value],
        value,
        [{"delta": value}],
        [{"index": 0, "delta": {"tool_calls": [value], "content": value}}],
        [{"delta": {"function": value}}] * 2,
    ):
        chunk = {"choices": choices}
        for _ in range(2):
            for event in sse.SseDecoder().feed(sse.encode_event(chunk) + sse.encode_event(value)):
                heard.take_event(event)
    completion = heard.build_completion()
    if heard.is_sound(completion):
        assert b"".join(sse.replay_completion(completion, include_usage=True))
