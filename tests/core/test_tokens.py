"""Counting tokens as the provider bills them."""

import fow_cache
import pytest
from bpe_openai import get_encoding
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import message_parts, tokens
from proxy.core.tokens import count_message_tokens, count_prompt_tokens, count_text, find_encoding
from proxy.core.types import Message


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
    assert find_encoding(model) == expected


@pytest.mark.parametrize("encoding", ["o200k_base", "cl100k_base"])
def test_real_text_counts_as_the_reference_encodes_it(encoding: str) -> None:
    reference = get_encoding(encoding)
    for chat in fow_cache.load_conversations()[:40]:
        for message in chat["a"]:
            assert count_text(message["content"], encoding) == len(
                reference.encode_ordinary(message["content"])
            )


@given(st.text())
def test_any_text_counts_and_never_more_than_its_bytes(text: str) -> None:
    assert 0 <= count_text(text, "o200k_base") <= len(text.encode("utf-8", "replace"))


def test_special_tokens_are_ordinary_text() -> None:
    assert count_text("<|endoftext|>", "o200k_base") == len(
        get_encoding("o200k_base").encode("<|endoftext|>", disallowed_special=())
    )


def test_a_lone_surrogate_counts_instead_of_failing() -> None:
    assert count_text("a\ud800b", "o200k_base") > 0


def test_a_text_beyond_a_million_characters_counts() -> None:
    assert abs(count_text("word " * 300_000, "o200k_base") - 300_000) <= 20


def test_messages_follow_the_cookbook() -> None:
    # The cookbook's own example and figure: 129 tokens under cl100k_base for gpt-4-0613.
    messages = [
        {
            "role": "system",
            "content": (
                "You are a helpful, pattern-following assistant that translates corporate jargon "
                "into plain English."
            ),
        },
        {
            "role": "system",
            "name": "example_user",
            "content": "New synergies will help drive top-line growth.",
        },
        {
            "role": "system",
            "name": "example_assistant",
            "content": "Things working well together will increase revenue.",
        },
        {
            "role": "system",
            "name": "example_user",
            "content": (
                "Let's circle back when we have more bandwidth to touch base on opportunities for "
                "increased leverage."
            ),
        },
        {
            "role": "system",
            "name": "example_assistant",
            "content": "Let's talk later when we're less busy about how to do better.",
        },
        {
            "role": "user",
            "content": (
                "This late pivot means we don't have time to boil the ocean for the "
                "client deliverable."
            ),
        },
    ]
    assert count_prompt_tokens(messages, "cl100k_base") == 129
    assert count_prompt_tokens(messages, "o200k_base") == 124


def test_a_prompt_is_the_sum_of_its_messages_and_the_priming() -> None:
    messages: list[Message] = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None},
    ]
    assert count_prompt_tokens(messages, "o200k_base") == 3 + sum(
        count_message_tokens(m, "o200k_base") for m in messages
    )
    assert count_prompt_tokens([], "o200k_base") == 3


def test_parts_count_as_their_text_and_media_as_constants() -> None:
    def cost(content: object) -> int:
        return count_message_tokens(
            {"role": "user", "content": content}, "o200k_base"
        ) - count_message_tokens({"role": "user"}, "o200k_base")

    assert cost([{"type": "text", "text": "Hello there"}]) == count_text(
        "Hello there", "o200k_base"
    )
    assert (
        cost([{"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}}])
        == message_parts.LOW_DETAIL_IMAGE_TOKENS
    )
    assert (
        cost([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}])
        == message_parts.IMAGE_TOKENS
    )
    assert (
        cost([{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}])
        == message_parts.AUDIO_TOKENS
    )
    assert cost([{"type": "file", "file": {"file_id": "f"}}]) == message_parts.FILE_TOKENS


def test_tool_calls_count_by_name_arguments_and_ids() -> None:
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "look_up", "arguments": '{"order": 4711}'},
    }
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    expected = sum(
        count_text(text, "o200k_base")
        for text in ("assistant", "call_1", "look_up", '{"order": 4711}')
    )
    assert (
        count_message_tokens(message, "o200k_base")
        == tokens.TOKENS_PER_MESSAGE + tokens.TOKENS_PER_TOOL_CALL + expected
    )
    result = {"role": "tool", "tool_call_id": "call_1", "content": "sent"}
    assert count_message_tokens(result, "o200k_base") == tokens.TOKENS_PER_MESSAGE + sum(
        count_text(text, "o200k_base") for text in ("tool", "call_1", "sent")
    )


@given(
    st.dictionaries(
        st.sampled_from(["role", "content", "name", "tool_calls", "audio"]),
        st.one_of(st.none(), st.integers(), st.text()),
    )
)
def test_a_message_of_any_shape_counts_without_error(message: dict[str, object]) -> None:
    assert count_message_tokens(message, "o200k_base") >= tokens.TOKENS_PER_MESSAGE


# ---------------------------------------------------------------- fields that OpenAI does not know


def more(message: dict[str, object]) -> int:
    """What a message costs beside its role."""
    return count_message_tokens(
        {"role": "assistant", **message}, "o200k_base"
    ) - count_message_tokens({"role": "assistant"}, "o200k_base")


def words(text: str) -> int:
    return count_text(text, "o200k_base")


THOUGHT = "The parser reads a token and looks at the next one before it decides."


@pytest.mark.parametrize(
    "message",
    [
        {"reasoning_content": THOUGHT},
        {"reasoning": THOUGHT},
        {"reasoning": THOUGHT, "reasoning_content": THOUGHT},
        {
            "reasoning": THOUGHT,
            "reasoning_details": [
                {"type": "reasoning.text", "text": THOUGHT, "signature": "abc" * 99, "index": 0}
            ],
        },
        {"reasoning_details": [{"type": "reasoning.summary", "summary": THOUGHT}]},
        {"content": [{"type": "thinking", "thinking": THOUGHT, "signature": "EqQB" * 80}]},
        {
            "content": [
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": THOUGHT},
                }
            ]
        },
        {"content": [{"type": "tool_result", "content": [{"type": "text", "text": THOUGHT}]}]},
        {"content": [THOUGHT]},
        {"refusal": THOUGHT},
        {"some_field_of_a_provider": {"deep": [{"deeper": THOUGHT}]}},
    ],
)
def test_what_a_provider_passes_to_its_model_counts(message: dict[str, object]) -> None:
    assert abs(more(message) - words(THOUGHT)) <= 2


@pytest.mark.parametrize(
    "message",
    [
        {"cache_control": {"type": "ephemeral"}},
        {"prefix": True},
        {"partial": True},
        {
            "annotations": [
                {
                    "type": "url_citation",
                    "url_citation": {"title": "A page", "url": "https://x.test/"},
                }
            ]
        },
        {"content": [{"type": "text", "text": "", "cache_control": {"type": "ephemeral"}}]},
        {"extra_content": {"google": {"thought_signature": "CiQB" * 200}}},
        {"reasoning_content": ""},
        {"reasoning_content": None},
    ],
)
def test_what_reaches_no_model_counts_nothing(message: dict[str, object]) -> None:
    assert more(message) == 0


@pytest.mark.parametrize(
    ("part", "constant"),
    [
        (
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": "iVBO" * 5000},
            },
            message_parts.IMAGE_TOKENS,
        ),
        (
            {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
            message_parts.IMAGE_TOKENS,
        ),
        (
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"},
            message_parts.LOW_DETAIL_IMAGE_TOKENS,
        ),
        (
            {
                "type": "document",
                "source": {
                    "type": "base64",
                    "media_type": "application/pdf",
                    "data": "JVBE" * 9000,
                },
            },
            message_parts.FILE_TOKENS,
        ),
        (
            {"type": "document", "source": {"type": "url", "url": "https://x.test/a.pdf"}},
            message_parts.FILE_TOKENS,
        ),
        (
            {"type": "video_url", "video_url": {"url": "https://x.test/a.mp4"}},
            message_parts.FILE_TOKENS,
        ),
        (
            {"type": "audio_url", "audio_url": {"url": "data:audio/wav;base64," + "UklG" * 9000}},
            message_parts.AUDIO_TOKENS,
        ),
        (
            {"type": "something_new", "picture": "data:image/jpeg;base64," + "/9j/" * 9000},
            message_parts.IMAGE_TOKENS,
        ),
        ({"type": "something_new", "data": "R0lG" * 9000}, message_parts.FILE_TOKENS),
        ({"type": "redacted_thinking", "data": "EvAF" * 400}, 300),
    ],
)
def test_media_count_as_constants_wherever_they_stand(
    part: dict[str, object], constant: int
) -> None:
    assert more({"content": [part]}) == constant


def test_a_recording_counts_with_what_was_said_in_it() -> None:
    assert more(
        {"audio": {"id": "a", "data": "UklG" * 900, "transcript": THOUGHT}}
    ) == message_parts.AUDIO_TOKENS + words(THOUGHT)


def test_calls_of_every_kind_count_by_their_name_and_what_they_are_given() -> None:
    def cost(call: dict[str, object]) -> int:
        return (
            more({"tool_calls": [{"id": "c", **call}]}) - tokens.TOKENS_PER_TOOL_CALL - words("c")
        )

    assert cost({"type": "custom", "custom": {"name": "sh", "input": THOUGHT}}) == words(
        "sh"
    ) + words(THOUGHT)
    assert (
        cost(
            {
                "type": "function",
                "function": {"name": "sh", "arguments": {"said": THOUGHT, "times": 4711}},
            }
        )
        >= words(THOUGHT) + 4
    )
    signed: dict[str, object] = {
        "type": "function",
        "function": {"name": "sh", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "Ci" * 500}},
    }
    assert cost(signed) == words("sh") + words("{}")


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "role",
                "content",
                "audio",
                "tool_calls",
                "reasoning_content",
                "reasoning_details",
                "x",
                "source",
                "arguments",
            ]
        ),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(
                    st.sampled_from(
                        ["type", "text", "data", "source", "input", "thinking", "url", "id"]
                    ),
                    inner,
                    max_size=4,
                ),
            ),
            max_leaves=12,
        ),
    )
)
def test_a_message_of_any_depth_counts_without_error(message: dict[str, object]) -> None:
    assert count_message_tokens(message, "o200k_base") >= tokens.TOKENS_PER_MESSAGE
