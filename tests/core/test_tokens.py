"""Counting tokens as the provider bills them."""

import fow_cache
import pytest
from bpe_openai import get_encoding
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import tokens
from proxy.core.ports import Message
from proxy.core.tokens import count_message, count_messages, count_text, encoding_for


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-4o-mini", ("o200k_base", True)),
        ("openai/gpt-4o-mini-2024-07-18", ("o200k_base", True)),
        ("openrouter/openai/GPT-4.1-nano", ("o200k_base", True)),
        ("gpt-5.1-codex", ("o200k_base", True)),
        ("o3-mini", ("o200k_base", True)),
        ("chatgpt-4o-latest", ("o200k_base", True)),
        ("ft:gpt-3.5-turbo-0125:acme::abc", ("cl100k_base", True)),
        ("azure/gpt-35-turbo", ("cl100k_base", True)),
        ("gpt-4-0613", ("cl100k_base", True)),
        ("gpt-4", ("cl100k_base", True)),
        ("cl100k_base", ("cl100k_base", True)),
        ("gpt-4.9", ("o200k_base", False)),
        ("o1234", ("o200k_base", False)),
        ("claude-sonnet-4-5", ("o200k_base", False)),
        ("", ("o200k_base", False)),
    ],
)
def test_a_model_name_finds_its_encoding(model: str, expected: tuple[str, bool]) -> None:
    assert encoding_for(model) == expected


@pytest.mark.parametrize("encoding", ["o200k_base", "cl100k_base"])
def test_real_text_counts_as_the_reference_encodes_it(encoding: str) -> None:
    reference = get_encoding(encoding)
    for chat in fow_cache.load_conversations()[:40]:
        for message in chat["a"]:
            assert count_text(message["content"], encoding) == len(reference.encode_ordinary(message["content"]))


@given(st.text())
def test_any_text_counts_and_never_more_than_its_bytes(text: str) -> None:
    assert 0 <= count_text(text, "o200k_base") <= len(text.encode("utf-8", "replace"))


def test_special_tokens_are_ordinary_text() -> None:
    assert count_text("<|endoftext|>", "o200k_base") == len(get_encoding("o200k_base").encode("<|endoftext|>", disallowed_special=()))


def test_a_lone_surrogate_counts_instead_of_failing() -> None:
    assert count_text("a\ud800b", "o200k_base") > 0


def test_a_text_beyond_a_million_characters_counts() -> None:
    assert abs(count_text("word " * 300_000, "o200k_base") - 300_000) <= 20


def test_messages_follow_the_cookbook() -> None:
    # The cookbook's own example and figure: 129 tokens under cl100k_base for gpt-4-0613.
    messages = [
        {
            "role": "system",
            "content": "You are a helpful, pattern-following assistant that translates corporate jargon into plain English.",
        },
        {"role": "system", "name": "example_user", "content": "New synergies will help drive top-line growth."},
        {"role": "system", "name": "example_assistant", "content": "Things working well together will increase revenue."},
        {
            "role": "system",
            "name": "example_user",
            "content": "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage.",
        },
        {"role": "system", "name": "example_assistant", "content": "Let's talk later when we're less busy about how to do better."},
        {
            "role": "user",
            "content": "This late pivot means we don't have time to boil the ocean for the client deliverable.",
        },
    ]
    assert count_messages(messages, "cl100k_base") == 129
    assert count_messages(messages, "o200k_base") == 124


def test_a_prompt_is_the_sum_of_its_messages_and_the_priming() -> None:
    messages: list[Message] = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None}]
    assert count_messages(messages, "o200k_base") == 3 + sum(count_message(m, "o200k_base") for m in messages)
    assert count_messages([], "o200k_base") == 3


def test_parts_count_as_their_text_and_media_as_constants() -> None:
    def cost(content: object) -> int:
        return count_message({"role": "user", "content": content}, "o200k_base") - count_message({"role": "user"}, "o200k_base")

    assert cost([{"type": "text", "text": "Hello there"}]) == count_text("Hello there", "o200k_base")
    assert cost([{"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}}]) == tokens.IMAGE_LOW
    assert cost([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]) == tokens.IMAGE
    assert cost([{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]) == tokens.AUDIO
    assert cost([{"type": "file", "file": {"file_id": "f"}}]) == tokens.FILE


def test_tool_calls_count_by_name_arguments_and_ids() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": '{"order": 4711}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    expected = sum(count_text(text, "o200k_base") for text in ("assistant", "call_1", "look_up", '{"order": 4711}'))
    assert count_message(message, "o200k_base") == tokens.PER_MESSAGE + tokens.PER_TOOL_CALL + expected
    result = {"role": "tool", "tool_call_id": "call_1", "content": "sent"}
    assert count_message(result, "o200k_base") == tokens.PER_MESSAGE + sum(
        count_text(text, "o200k_base") for text in ("tool", "call_1", "sent")
    )


@given(st.dictionaries(st.sampled_from(["role", "content", "name", "tool_calls", "audio"]), st.one_of(st.none(), st.integers(), st.text())))
def test_a_message_of_any_shape_counts_without_error(message: dict[str, object]) -> None:
    assert count_message(message, "o200k_base") >= tokens.PER_MESSAGE
