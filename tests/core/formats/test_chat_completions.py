"""Request bodies: what is accepted, what is refused and which field is named."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.errors import BadRequest, BodyTooDeep, TooManyParts
from proxy.core.formats.body_limits import BodyLimits
from proxy.core.formats.chat_completions import (
    extract_text,
    load_json_object,
    parse_chat_request,
    validate_messages,
)
from proxy.core.formats.json_marks import BLOCK_BYTES, count_marks
from proxy.core.prompt_caching.conversations import count_turns
from proxy.core.tokens import count_characters, count_prompt_tokens

HELLO = {"role": "user", "content": "hello"}


def body(**fields: object) -> bytes:
    return orjson.dumps({"model": "smart/balanced", "messages": [HELLO]} | fields)


def test_a_plain_request_keeps_the_clients_bytes() -> None:
    raw = body(temperature=0.5, an_unknown_field={"x": 1})
    request = parse_chat_request(raw)
    assert request.raw_body == raw
    assert request.body["an_unknown_field"] == {"x": 1}
    assert (request.model, request.stream, request.plan_name) == ("smart/balanced", False, None)


@pytest.mark.parametrize(
    "where",
    [
        {"token_saving_plan_id": "p"},
        {"metadata": {"token_saving_plan_id": "p"}},
        {"metadata": {"token_saving_plan": "p"}},
        {"token_saving_plan_id": "p", "metadata": {"token_saving_plan": "q"}},
        {"metadata": {"token_saving_plan": "q", "token_saving_plan_id": "p"}},
        {"token_saving_plan_id": None, "metadata": {"token_saving_plan": "p"}},
    ],
)
def test_our_fields_are_read_and_stripped(where: dict[str, object]) -> None:
    request = parse_chat_request(body(**where, cache={"no-store": True}))
    assert request.plan_name == "p"
    assert request.cache_controls.no_store
    assert set(request.body) == {"model", "messages"}
    assert request.raw_body is None


def test_metadata_of_the_client_stays_without_our_field() -> None:
    request = parse_chat_request(body(metadata={"token_saving_plan_id": "p", "ticket": "7"}))
    assert request.body["metadata"] == {"ticket": "7"}

    request = parse_chat_request(body(metadata={"token_saving_plan": "p", "ticket": "7"}))
    assert request.body["metadata"] == {"ticket": "7"}


@pytest.mark.parametrize("metadata", [{}, {"ticket": "7"}, ["token_saving_plan"], "p", None])
def test_metadata_without_our_field_is_sent_as_it_is(metadata: object) -> None:
    raw = body(metadata=metadata)
    request = parse_chat_request(raw)
    assert (request.raw_body, request.plan_name) == (raw, None)
    assert request.body["metadata"] == metadata


@pytest.mark.parametrize(("said", "name"), [("", ""), ("none", "none"), (None, None)])
def test_an_empty_name_is_a_name_and_null_is_not(said: str | None, name: str | None) -> None:
    assert parse_chat_request(body(token_saving_plan_id=said)).plan_name == name


def test_usage_is_hidden_unless_asked_for() -> None:
    assert not parse_chat_request(body(stream=True)).include_usage
    assert parse_chat_request(
        body(stream=True, stream_options={"include_usage": True})
    ).include_usage


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 7}, "model"),
        ({"model": ""}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": ["hello"]}, "messages[0]"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": []}, "stream_options"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"n": 0}, "n"),
        ({"user": 7}, "user"),
        ({"token_saving_plan_id": 7}, "token_saving_plan_id"),
        ({"metadata": {"token_saving_plan": ["p"]}}, "metadata.token_saving_plan"),
        ({"cache": "no"}, "cache"),
        ({"cache": {"no-store": "yes"}}, "cache.no-store"),
        ({"cache": {"ttl": 0}}, "cache.ttl"),
        ({"cache": {"ttl": True}}, "cache.ttl"),
        ({"cache": {"s-maxage": -1}}, "cache.s-maxage"),
        ({"cache": {"namespace": ""}}, "cache.namespace"),
        ({"cache": {"similarity_threshold": 2}}, "cache.similarity_threshold"),
        ({"cache": {"no_store": True}}, "cache.no_store"),
        ({"api_base": "http://10.0.0.1"}, "api_base"),
        ({"base_url": "http://10.0.0.1"}, "base_url"),
        ({"api_key": "sk-1"}, "api_key"),
        ({"extra_headers": {}}, "extra_headers"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, object], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_chat_request(body(**fields))
    assert refused.value.param == param
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b'{"model": NaN}',
        b'{"model": 1e999}',
        rb'{"model": "m", "messages": [{"role": "user", "content": "\ud800"}]}',
        b'{"model": "m", "messages": [{"role": "user", "content": "\xed\xa0\x80"}]}',
        b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "model": "n"}',
        rb'{"mod\u0065l": "m", "messages": [{"role": "user", "content": "a: b"}], "model": "n"}',
        (
            b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "messages" : '
            b'[{"role": "user", "content": "y"}]}'
        ),
        b'{"model": "m", "messages": [{"role": "user", "content": "a: b", "role": "system"}]}',
        (
            b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "deep": '
            b'[[{"a": {}, "a": {}}]]}'
        ),
        b'{"model": "m", "messages": [{"role": "user", "content": "'
        + b"x: " * 60_000
        + b'"}], "model": "n"}',
    ],
)
def test_what_is_no_clean_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_chat_request(raw)


USUAL = [
    [HELLO],
    [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "x"},
                {"type": "image_url", "image_url": {"url": "x"}},
            ],
        }
    ],
    [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        }
    ],
    [
        {
            "role": "assistant",
            "tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "f", "input": "x"}}],
        }
    ],
]
UNUSUAL = [
    {"role": "observation", "content": "x"},
    {"role": "user", "content": 7},
    {"role": "user", "content": {"text": "x"}},
    {"role": "user", "content": ["x", "y"]},
    {"role": "user", "content": [{"text": "x"}]},
    {"role": "user", "content": [{"type": "text", "text": 7}]},
    {"role": "user", "content": [[]]},
    {"role": "assistant", "tool_calls": "x"},
    {"role": "assistant", "tool_calls": [7]},
    {"role": "assistant", "tool_calls": [{"id": "a", "function": [1]}]},
    {"role": "assistant", "function_call": "f"},
    {"role": "tool", "tool_call_id": "a", "content": "\0binary"},
    {"role": "user", "content": "x", "a\0b": 1},
]


@pytest.mark.parametrize("message", UNUSUAL, ids=str)
def test_what_a_provider_may_accept_is_passed_on_and_said_to_be_unusual(message: Any) -> None:
    raw = body(messages=[HELLO, message])
    request = parse_chat_request(raw)
    assert request.is_unusual
    assert request.raw_body == raw
    assert isinstance(extract_text(message), str | None)
    assert count_characters([message]) > 0
    assert count_prompt_tokens([message], "o200k_base") > 0
    assert count_turns([message]) == 1
    with pytest.raises(BadRequest):  # where no provider decides, it must be in OpenAI's form
        validate_messages(load_json_object(raw)["messages"])


@pytest.mark.parametrize("messages", USUAL, ids=str)
def test_openai_s_form_is_usual(messages: Any) -> None:
    assert not parse_chat_request(body(messages=messages)).is_unusual
    assert validate_messages(messages) == messages


def test_whole_numbers_beyond_64_bits_are_written_as_they_were() -> None:
    numbers = (
        b"[123456789012345678901234567890,-99999999999999999999,18446744073709551616,"
        b"-9223372036854775809]"
    )
    small = b"[18446744073709551615,-9223372036854775808,1.5,1e300,123]"
    raw = (
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"big":%b,"small":%b,'
        b'"token_saving_plan_id":"p"}'
    ) % (numbers, small)
    request = parse_chat_request(raw)
    assert request.is_unusual
    written = orjson.dumps(request.body)
    assert b'"big":' + numbers in written
    assert orjson.loads(written)["small"] == orjson.loads(small)
    other = parse_chat_request(raw.replace(b"567890,", b"567891,"))
    assert orjson.dumps(other.body) != written


def test_how_much_a_body_may_hold() -> None:
    limits = BodyLimits(values=1000, messages=3, parts=4)
    part = {"type": "text", "text": "x"}
    call = {"id": "a", "function": {"name": "f"}}
    fits: list[Any] = [
        {"messages": [HELLO] * 3},
        {
            "messages": [
                {"role": "user", "content": [part] * 2},
                {"role": "assistant", "tool_calls": [call] * 2},
            ]
        },
        {"x": [1] * 900, "messages": [{"role": "user", "content": "a,[{" * 5000}]},
        {"x": {str(number): number for number in range(300)}},
        {"x": [1] * 900, "messages": [{"role": "user", "content": '\\"\\,[{' * 5000}]},
    ]
    for fields in fits:
        parse_chat_request(body(**fields), limits)
    over: list[Any] = [
        {"messages": [HELLO] * 4},
        {
            "messages": [
                {"role": "user", "content": [part] * 3},
                {"role": "assistant", "tool_calls": [call] * 2},
            ]
        },
        {"x": [1] * 1001},
        {"x": [[]] * 1001},
        {"x": {str(number): number for number in range(1001)}},
        {"x": {str(number): number for number in range(400)}},
        {"x": [1] * 1001, "messages": [{"role": "user", "content": '\\"\\,[{' * 5000}]},
    ]
    for fields in over:
        with pytest.raises(TooManyParts) as refused:
            parse_chat_request(body(**fields), limits)
        assert refused.value.status == 413
        assert any(
            word in refused.value.message for word in ("1000 JSON values", "at most 3", "4 parts")
        )


@given(
    value=st.recursive(
        st.text() | st.integers(-(2**53), 2**53) | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_marks_are_counted_as_a_parser_would(value: Any) -> None:
    for raw in (orjson.dumps(value), orjson.dumps(value, option=orjson.OPT_INDENT_2)):
        values, keys = counted(value)
        marks = count_marks(raw)
        assert marks.key_count == keys
        assert values <= marks.value_count <= values + raw.count(b"[]") + raw.count(b"{}")


def test_marks_are_counted_across_blocks() -> None:
    for size in range(BLOCK_BYTES - 6, BLOCK_BYTES + 6):
        raw = (
            b'["'
            + b"x" * (size - 10)
            + rb"\\\",[:\\"
            + b'",{"a":"'
            + b"\\\\" * BLOCK_BYTES
            + b'","b,":[1,2]}]'
        )
        values, keys = counted(orjson.loads(raw))
        assert (count_marks(raw).value_count, count_marks(raw).key_count) == (values, keys)


def counted(value: Any) -> tuple[int, int]:
    """Values and keys of a parsed text."""
    inner = (
        list(value.values())
        if isinstance(value, dict)
        else value
        if isinstance(value, list)
        else []
    )
    found = [counted(each) for each in inner]
    return 1 + sum(values for values, _ in found), (
        len(value) if isinstance(value, dict) else 0
    ) + sum(keys for _, keys in found)


def test_text_that_only_talks_about_nul_is_accepted() -> None:
    request = parse_chat_request(
        rb'{"model": "m", "messages": [{"role": "user", "content": "write \\u0000 in C"}]}'
    )
    assert request.messages[0]["content"] == r"write \u0000 in C"


def test_large_floats_and_long_digits_in_text_are_accepted() -> None:
    assert (
        parse_chat_request(
            body(limit=1.5e300, messages=[{"role": "user", "content": "9" * 40}])
        ).body["limit"]
        == 1.5e300
    )


def nested(levels: int) -> bytes:
    return (
        b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "deep": '
        + b"[" * levels
        + b"]" * levels
        + b"}"
    )


def test_depth_is_limited_to_64_levels() -> None:
    assert parse_chat_request(nested(63)).model == "m"
    for levels in (64, 1_000, 100_000):
        with pytest.raises(BodyTooDeep) as refused:
            parse_chat_request(nested(levels))
        assert refused.value.code == "request_too_large"


def test_text_parts_join_and_pictures_are_no_text() -> None:
    assert (
        extract_text(
            {
                "role": "user",
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            }
        )
        == "a\nb"
    )
    assert (
        extract_text(
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}
        )
        is None
    )
