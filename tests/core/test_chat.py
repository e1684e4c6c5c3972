"""Request bodies: what is accepted, what is refused and which field is named."""

import orjson
import pytest

from proxy.core.chat import parse, text_of
from proxy.core.errors import BadRequest, TooDeep

HELLO = {"role": "user", "content": "hello"}


def body(**fields: object) -> bytes:
    return orjson.dumps({"model": "smart/balanced", "messages": [HELLO]} | fields)


def test_a_plain_request_keeps_the_clients_bytes() -> None:
    raw = body(temperature=0.5, an_unknown_field={"x": 1})
    request = parse(raw)
    assert request.raw == raw
    assert request.body["an_unknown_field"] == {"x": 1}
    assert (request.model, request.stream, request.plan_name) == ("smart/balanced", False, None)


@pytest.mark.parametrize("where", [{"token_saving_plan_id": "p"}, {"metadata": {"token_saving_plan_id": "p"}}])
def test_our_fields_are_read_and_stripped(where: dict[str, object]) -> None:
    request = parse(body(**where, cache={"no-store": True}))
    assert request.plan_name == "p"
    assert request.controls.no_store
    assert set(request.body) == {"model", "messages"}
    assert request.raw is None


def test_metadata_of_the_client_stays_without_our_field() -> None:
    request = parse(body(metadata={"token_saving_plan_id": "p", "ticket": "7"}))
    assert request.body["metadata"] == {"ticket": "7"}


def test_usage_is_hidden_unless_asked_for() -> None:
    assert not parse(body(stream=True)).include_usage
    assert parse(body(stream=True, stream_options={"include_usage": True})).include_usage


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
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role"),
        ({"messages": [HELLO, {"role": "user", "content": 7}]}, "messages[1].content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 7}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "assistant", "tool_calls": "x"}]}, "messages[0].tool_calls"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": []}, "stream_options"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"n": 0}, "n"),
        ({"user": 7}, "user"),
        ({"token_saving_plan_id": 7}, "token_saving_plan_id"),
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
        parse(body(**fields))
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
        rb'{"model": "m", "messages": [{"role": "user", "content": "a\u0000b"}]}',
        rb'{"model": "m", "messages": [{"role": "user", "content": "x"}], "a\u0000b": 1}',
        b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "seed": 123456789012345678901234567890}',
    ],
)
def test_what_is_no_clean_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        parse(raw)


def test_text_that_only_talks_about_nul_is_accepted() -> None:
    request = parse(rb'{"model": "m", "messages": [{"role": "user", "content": "write \\u0000 in C"}]}')
    assert request.messages[0]["content"] == r"write \u0000 in C"


def test_large_floats_and_long_digits_in_text_are_accepted() -> None:
    assert parse(body(limit=1.5e300, messages=[{"role": "user", "content": "9" * 40}])).body["limit"] == 1.5e300


def nested(levels: int) -> bytes:
    return b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "deep": ' + b"[" * levels + b"]" * levels + b"}"


def test_depth_is_limited_to_64_levels() -> None:
    assert parse(nested(63)).model == "m"
    for levels in (64, 1_000, 100_000):
        with pytest.raises(TooDeep) as refused:
            parse(nested(levels))
        assert refused.value.code == "request_too_large"


def test_text_parts_join_and_pictures_are_no_text() -> None:
    assert text_of({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}) == "a\nb"
    assert text_of({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}) is None
