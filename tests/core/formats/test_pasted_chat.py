"""A chat pasted in any of its three forms."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.errors import BadRequest, BodyTooDeep
from proxy.core.formats.pasted_chat import PastedChat, parse_pasted_chat

CHAT = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hi: there."}]


def test_an_array_and_a_whole_body_are_read() -> None:
    assert parse_pasted_chat(json.dumps(CHAT)) == PastedChat(CHAT)
    assert parse_pasted_chat(f" \n{json.dumps(CHAT, indent=1)}\n") == PastedChat(CHAT)
    assert parse_pasted_chat(
        json.dumps({"model": "smart", "messages": CHAT, "temperature": 1})
    ) == PastedChat(CHAT, "smart")
    assert parse_pasted_chat(json.dumps({"model": 7, "messages": CHAT})) == PastedChat(CHAT)


def test_lines_with_speakers_are_read() -> None:
    text = "System: Be brief.\nUSER:  Hello,\n\n  my user: id is 7.\n assistant:Hi.\nUser:"
    assert parse_pasted_chat(text).messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello,\n\n  my user: id is 7."},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": ""},
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "hello\nUser: x",
        "Tool: x",
        "[",
        "[]",
        "{}",
        '{"messages": []}',
        '[{"role": "wizard"}]',
        "[1]",
        "User: \0",
        '["\\u0000"]',
        '{"a":1}]',
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_pasted_chat(text)


def test_an_array_may_be_as_deep_as_in_a_body_and_no_deeper() -> None:
    deepest = '[{"role": "user", "content": "x", "a": ' + "[" * 62 + "]" * 62 + "}]"
    assert parse_pasted_chat(deepest, depth=64).messages
    with pytest.raises(BodyTooDeep):
        parse_pasted_chat(deepest.replace("[]", "[[]]"), depth=64)


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    with suppress(BadRequest):
        assert parse_pasted_chat(text).messages
