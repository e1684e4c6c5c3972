"""What providers report as billed, in the words and places of each."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plans.pricing import Price, TokenDetails
from proxy.core.formats.usage import (
    MAX_USAGE_TOKENS,
    Usage,
    UsageReader,
    count_usage,
    find_usage,
    parse_usage,
)

BOTH = Usage(prompt_tokens=2000, completion_tokens=50, cached_tokens=1200, cache_write_tokens=700)


def reported(prompt: int, **fields: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": 50, "total_tokens": prompt + 50, **fields}


# The prefix cache.


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(
            reported(
                2000, prompt_tokens_details={"cached_tokens": 1200, "cache_write_tokens": 700}
            ),
            id="OpenAI, OpenRouter",
        ),
        pytest.param(
            reported(
                2000,
                prompt_tokens_details={"cached_tokens": 1200, "cache_creation_tokens": 700},
                cache_read_input_tokens=1200,
                cache_creation_input_tokens=700,
            ),
            id="LiteLLM",
        ),
        pytest.param(
            reported(
                100,
                total_tokens=2050,
                cache_read_input_tokens=1200,
                cache_creation_input_tokens=700,
            ),
            id="Portkey",
        ),
        pytest.param(
            reported(100, cache_read_input_tokens=1200, cache_creation_input_tokens=700),
            id="more than the prompt",
        ),
        pytest.param(
            {
                "input_tokens": 100,
                "output_tokens": 50,
                "cache_read_input_tokens": 1200,
                "cache_creation_input_tokens": 700,
            },
            id="Anthropic",
        ),
        pytest.param(
            reported(2000, cached_tokens=1200, cache_creation={"ephemeral_5m_input_tokens": 700}),
            id="Moonshot, Anthropic",
        ),
    ],
)
def test_tokens_of_the_prefix_cache_are_part_of_the_prompt_whoever_reports_them(
    value: dict[str, Any],
) -> None:
    assert parse_usage(value) == BOTH


def test_the_same_tokens_under_several_names_are_counted_once() -> None:
    value = reported(
        1000,
        cache_creation_input_tokens=700,
        prompt_tokens_details={"cache_write_tokens": 700, "cache_creation_tokens": 0},
    )
    assert parse_usage(value) == Usage(
        prompt_tokens=1000, completion_tokens=50, cache_write_tokens=700
    )


def test_deepseek_s_hits_are_part_of_its_prompt() -> None:
    value = {
        "prompt_tokens": 1000,
        "completion_tokens": 10,
        "total_tokens": 1010,
        "prompt_cache_hit_tokens": 896,
        "prompt_cache_miss_tokens": 104,
    }
    assert parse_usage(value) == Usage(prompt_tokens=1000, completion_tokens=10, cached_tokens=896)


def test_more_cached_than_prompt_where_the_total_says_otherwise_is_cut_to_the_prompt() -> None:
    value = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 99_999},
    }
    assert parse_usage(value) == Usage(prompt_tokens=10, completion_tokens=5, cached_tokens=10)


def test_what_is_written_for_an_hour_is_told_apart() -> None:
    lives = {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 400}
    found = parse_usage(reported(2000, cache_creation_input_tokens=700, cache_creation=lives))
    assert found == Usage(
        prompt_tokens=2000,
        completion_tokens=50,
        cache_write_tokens=700,
        details=TokenDetails(written_1h=400),
    )


# Reasoning.


def thinking(completion: int, reasoning: int, total: int | None = None) -> dict[str, Any]:
    value = {
        "prompt_tokens": 100,
        "completion_tokens": completion,
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    return value if total is None else value | {"total_tokens": total}


@pytest.mark.parametrize(
    ("value", "provider", "completion"),
    [
        pytest.param(thinking(500, 300, 600), "openai", 500, id="inside, as OpenAI"),
        pytest.param(thinking(500, 300), "openai", 500, id="inside, without a total"),
        pytest.param(thinking(200, 300, 600), "x-ai", 500, id="outside, as xAI"),
        pytest.param(thinking(200, 300), "x-ai", 500, id="xAI without a total"),
        pytest.param(thinking(400, 100, 600), "x-ai", 500, id="outside, and little of it"),
        pytest.param(
            thinking(500, 300, 600), "x-ai", 500, id="xAI, should it ever count like others"
        ),
        pytest.param(thinking(200, 300), "", 500, id="more than the completion cannot be inside"),
        pytest.param(thinking(0, 60, 160), "", 60, id="nothing but reasoning"),
        pytest.param(
            thinking(0, 60, 100), "", 60, id="nothing but reasoning, and a total without it"
        ),
        pytest.param(
            {"prompt_tokens": 100, "completion_tokens": 200, "total_tokens": 500},
            "google",
            400,
            id="Gemini, unnamed",
        ),
        pytest.param(
            {
                "promptTokenCount": 100,
                "candidatesTokenCount": 200,
                "thoughtsTokenCount": 200,
                "totalTokenCount": 500,
            },
            "google",
            400,
            id="Gemini's own names",
        ),
    ],
)
def test_reasoning_is_billed_once_wherever_it_is_counted(
    value: dict[str, Any], provider: str, completion: int
) -> None:
    found = parse_usage(value, provider)
    assert found is not None
    assert (found.prompt_tokens, found.completion_tokens) == (100, completion)


# Where it stands.


def test_usage_of_a_choice_counts_where_there_is_none_of_the_whole() -> None:
    usage = {
        "prompt_tokens": 1900,
        "completion_tokens": 79,
        "total_tokens": 1979,
        "cached_tokens": 512,
    }
    expected = Usage(prompt_tokens=1900, completion_tokens=79, cached_tokens=512)
    assert find_usage({"choices": [{"index": 0, "usage": usage}]}) == expected
    reader = UsageReader()
    for chunk in (
        {"choices": [{"index": 0, "delta": {"content": "x"}}]},
        {"choices": [{"index": 0, "delta": {}, "usage": usage}]},
    ):
        reader.take_chunk(chunk)
    assert reader.build_usage() == expected


def test_several_choices_have_one_prompt_and_what_each_of_them_says() -> None:
    first = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    second = {"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17}
    assert find_usage({"choices": [{"usage": first}, {"usage": second}]}) == Usage(
        prompt_tokens=10, completion_tokens=12
    )
    assert find_usage({"choices": [{"usage": first}, {"usage": dict(first)}]}) == Usage(
        prompt_tokens=10, completion_tokens=5
    )


def test_groq_s_place_and_gemini_s() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    assert find_usage({"choices": [], "x_groq": {"id": "req_1", "usage": usage}}) == Usage(
        prompt_tokens=7, completion_tokens=3
    )
    assert find_usage(
        {"usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3}}
    ) == Usage(prompt_tokens=7, completion_tokens=3)


def test_an_empty_place_does_not_hide_a_full_one() -> None:
    zeros = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    full = {"prompt_tokens": 7, "completion_tokens": 3}
    assert find_usage({"usage": zeros, "x_groq": {"usage": full}}) == Usage(
        prompt_tokens=7, completion_tokens=3
    )
    assert find_usage({"usage": None, "choices": [{"usage": full}]}) == Usage(
        prompt_tokens=7, completion_tokens=3
    )
    assert find_usage({"usage": zeros}) == Usage()


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param(
            [
                {"prompt_tokens": 10, "completion_tokens": n, "total_tokens": 10 + n}
                for n in (1, 2, 5)
            ],
            id="the sum so far",
        ),
        pytest.param(
            [{"prompt_tokens": 10, "completion_tokens": 1}, {"completion_tokens": 5}],
            id="a part each",
        ),
        pytest.param(
            [
                {"prompt_tokens": 10, "completion_tokens": 5},
                {"prompt_tokens": 0, "completion_tokens": 0},
            ],
            id="zeros at the end",
        ),
        pytest.param(
            [{"prompt_tokens": 10, "completion_tokens": 5}, None, {}], id="nothing at the end"
        ),
        pytest.param(
            [
                {"prompt_tokens": 10, "completion_tokens": 5},
                {"prompt_tokens": -1, "completion_tokens": "x"},
            ],
            id="nonsense",
        ),
        pytest.param([{"prompt_tokens": 10, "completion_tokens": 5}] * 2, id="twice"),
    ],
)
def test_of_many_chunks_each_number_counts_once(chunks: list[Any]) -> None:
    reader = UsageReader()
    for usage in chunks:
        reader.take_chunk({"choices": [], "usage": usage})
    assert reader.build_usage() == Usage(prompt_tokens=10, completion_tokens=5)


# What was charged.


@pytest.mark.parametrize(
    ("fields", "provider", "charged"),
    [
        pytest.param(
            {"cost": 0.00095, "cost_details": {"upstream_inference_cost": None}},
            "openrouter",
            "0.00095",
            id="OpenRouter",
        ),
        pytest.param(
            {
                "cost": 0.00095,
                "is_byok": False,
                "cost_details": {"upstream_inference_cost": 0.00095},
            },
            "openrouter",
            "0.00095",
        ),
        pytest.param(
            {"cost": 0.00005, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.001}},
            "openrouter",
            "0.00105",
        ),
        pytest.param(
            {"cost": 0.95, "cost_details": {"upstream_inference_cost": 19}},
            "openrouter",
            "19.95",
            id="their key, unsaid",
        ),
        pytest.param(
            {"cost": 0, "is_byok": True},
            "openrouter",
            None,
            id="a key of one's own, and no word on what it cost",
        ),
        pytest.param({"cost": 0}, "openrouter", "0", id="free"),
        pytest.param({"cost": 0}, "litellm", None, id="no price known there"),
        pytest.param({"cost": "1.5e-3"}, "", "0.0015", id="text"),
        pytest.param(
            {"cost": {"input_tokens_cost": 0.001, "total_cost": 0.007}},
            "perplexity",
            "0.007",
            id="Perplexity",
        ),
        pytest.param({"cost_in_usd_ticks": 37_756_000}, "x-ai", "0.0037756", id="xAI"),
        pytest.param({"cost_in_usd_ticks": 0}, "x-ai", "0"),
        pytest.param({"cost": -1}, "openrouter", None),
        pytest.param({"cost": 1e30}, "openrouter", None),
        pytest.param({"cost": float("nan")}, "openrouter", None),
        pytest.param({"cost": True}, "openrouter", None),
        pytest.param({"cost": [1]}, "openrouter", None),
        pytest.param(
            {"cost": 10**5000, "cost_in_usd_ticks": 10**5000}, "x-ai", None, id="digits without end"
        ),
        pytest.param({"estimated_cost": 0.5}, "deepinfra", None, id="a guess of theirs"),
    ],
)
def test_what_the_provider_says_it_charged_is_the_bill(
    fields: dict[str, Any], provider: str, charged: str | None
) -> None:
    found = parse_usage(reported(1000) | fields, provider)
    assert found is not None
    assert found.charged_usd == (None if charged is None else Decimal(charged))


def test_a_charge_without_tokens_is_not_lost() -> None:
    assert find_usage({"usage": {"cost": 0.002}}, "openrouter") == Usage(
        charged_usd=Decimal("0.002")
    )


def test_the_service_tier_is_the_answer_s() -> None:
    found = find_usage({"usage": reported(10), "service_tier": "flex"})
    assert found is not None
    assert found.service_tier == "flex"
    reader = UsageReader()
    reader.take_chunk({"service_tier": "priority", "choices": []})
    reader.take_chunk({"usage": reported(10), "choices": []})
    read = reader.build_usage()
    assert read is not None
    assert read.service_tier == "priority"


# Audio and images.


def test_parts_with_prices_of_their_own_are_told_apart() -> None:
    value = {
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "total_tokens": 1100,
        "prompt_tokens_details": {
            "cached_tokens": 300,
            "audio_tokens": 500,
            "image_tokens": 100,
            "cached_tokens_details": {"audio_tokens": 200},
        },
        "completion_tokens_details": {"audio_tokens": 60, "reasoning_tokens": 0},
    }
    details = TokenDetails(audio=500, cached_audio=200, image=100, output_audio=60)
    assert parse_usage(value) == Usage(
        prompt_tokens=1000, completion_tokens=100, cached_tokens=300, details=details
    )


def test_cached_tokens_that_can_only_be_audio_are() -> None:
    value = reported(1000, prompt_tokens_details={"cached_tokens": 800, "audio_tokens": 900})
    found = parse_usage(value)
    assert found is not None
    assert found.details == TokenDetails(audio=900, cached_audio=700)


# Nonsense.


@pytest.mark.parametrize(
    "details",
    [
        None,
        "much",
        [],
        {},
        {"cached_tokens": None, "cache_write_tokens": -5},
        {"cache_write_tokens": True},
    ],
)
def test_what_makes_no_sense_is_not_billed(details: Any) -> None:
    assert parse_usage(reported(1000, prompt_tokens_details=details)) == Usage(
        prompt_tokens=1000, completion_tokens=50
    )


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        "usage",
        {"prompt_tokens": 5},
        {"prompt_tokens": "five", "completion_tokens": 1},
        {"prompt_tokens": -5, "completion_tokens": 1},
        {"prompt_tokens": True, "completion_tokens": False},
        {"prompt_tokens": 2**52, "completion_tokens": 2**52},
        {"prompt_tokens": 1.5, "completion_tokens": 1},
        {"prompt_tokens": 10**5000, "completion_tokens": 10**5000},
        {"prompt_tokens": "9" * 100_000, "completion_tokens": 1},
    ],
)
def test_a_report_without_prompt_and_completion_is_none(value: Any) -> None:
    assert parse_usage(value) is None


@pytest.mark.parametrize(
    "value",
    [
        {"prompt_tokens": 10.0, "completion_tokens": 5.0},
        {"prompt_tokens": "10", "completion_tokens": "5"},
        {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15},
        {"prompt_tokens": 10, "completion_tokens": None, "total_tokens": 15},
        {"prompt_tokens": None, "completion_tokens": 5, "total_tokens": 15},
        {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 2**52},
        {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 3},
        {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": -1},
        {"prompt_tokens": 0, "input_tokens": 10, "completion_tokens": 0, "output_tokens": 5},
    ],
)
def test_numbers_are_read_however_they_are_written_and_what_is_missing_follows(value: Any) -> None:
    assert parse_usage(value) == Usage(prompt_tokens=10, completion_tokens=5)


NAMES: Any = st.sampled_from(
    "usage choices x_groq usageMetadata prompt_tokens completion_tokens total_tokens "
    "prompt_tokens_details completion_tokens_details cached_tokens cached_tokens_details "
    "audio_tokens image_tokens video_tokens reasoning_tokens cache_read_input_tokens index "
    "cache_creation_input_tokens cache_creation ephemeral_1h_input_tokens cost "
    "cost_details upstream_inference_cost is_byok cost_in_usd_ticks citation_tokens".split()
)
ANYTHING: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 2**63)
    | st.floats()
    | st.sampled_from(["", "7", "x", "1e9", "-3", "NaN"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=25,
)
PRICE = Price(input=Decimal(3), output=Decimal(9), cached_input=Decimal(1), cache_write=Decimal(4))


@given(
    st.dictionaries(NAMES, ANYTHING, max_size=8),
    st.sampled_from(["", "openrouter", "x-ai", "google", "perplexity"]),
)
def test_whatever_a_provider_reports_has_a_price_or_is_not_taken(
    body: dict[str, Any], provider: str
) -> None:
    reader = UsageReader()
    reader.take_chunk(body)
    for found in (
        find_usage(body, provider),
        parse_usage(body, provider),
        reader.build_usage(provider),
    ):
        if found is None:
            continue
        parts = {
            "prompt": found.prompt_tokens,
            "completion": found.completion_tokens,
            "cached": found.cached_tokens,
            "written": found.cache_write_tokens,
        }
        of = found.details
        assert max(found.prompt_tokens, found.completion_tokens) <= MAX_USAGE_TOKENS
        assert min(parts.values()) >= 0
        fresh = (
            found.prompt_tokens
            - found.cached_tokens
            - found.cache_write_tokens
            - (of.audio - of.cached_audio)
            - (of.image - of.cached_image)
            - of.video
        )
        assert fresh >= 0
        assert of.cached_audio + of.cached_image <= found.cached_tokens
        assert of.written_1h <= found.cache_write_tokens
        assert (
            of.output_audio + of.output_image + of.output_video + of.reasoning + of.citation
            <= found.completion_tokens
        )
        assert PRICE.compute_cost(**parts, details=of) >= 0  # type: ignore[arg-type]  # counts alone


# What nobody reports.


def test_reasoning_and_tool_calls_are_counted_where_nothing_is_reported() -> None:
    words, arguments = "word " * 400, '{"text": "' + "word " * 400 + '"}'
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "write", "arguments": arguments},
    }
    message = {
        "role": "assistant",
        "content": None,
        "reasoning_content": words,
        "tool_calls": [call],
    }
    found = count_usage(
        [{"role": "user", "content": "hi"}],
        {"choices": [{"message": message}]},
        model="gpt-4o-mini",
    )
    assert 800 <= found.completion_tokens <= 840
    assert found.is_estimated
    twice = message | {
        "reasoning": words,
        "reasoning_details": [{"type": "reasoning.text", "text": words}],
    }
    again = count_usage([], {"choices": [{"message": twice}]}, model="gpt-4o-mini")
    assert again.completion_tokens == found.completion_tokens


@pytest.mark.parametrize(
    "message",
    [
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "word " * 50}]},
                {"type": "text", "text": "word " * 50},
            ]
        },
        {
            "content": "word " * 50,
            "thinking_blocks": [
                {"type": "thinking", "thinking": "word " * 50, "signature": "x" * 900}
            ],
        },
        {"content": None, "function_call": {"name": "f", "arguments": "word " * 100}},
        {
            "content": None,
            "tool_calls": [{"type": "custom", "custom": {"name": "f", "input": "word " * 100}}],
        },
        {
            "content": None,
            "tool_calls": [{"function": {"name": "f", "arguments": {"text": "word " * 100}}}],
        },
        {"content": None, "audio": {"transcript": "word " * 100, "data": "A" * 5000}},
        {"content": None, "refusal": "word " * 100},
    ],
)
def test_whatever_shape_an_answer_has_its_words_are_counted(message: dict[str, Any]) -> None:
    found = count_usage([], {"choices": [{"message": message}]}, model="gpt-4o-mini")
    assert 98 <= found.completion_tokens <= 112


@pytest.mark.parametrize(
    "found",
    [
        None,
        {},
        {"choices": None},
        {"choices": [None, 1, {"message": None}, {"message": {"tool_calls": 3}}]},
    ],
)
def test_an_answer_of_no_known_shape_has_no_words(found: Any) -> None:
    assert count_usage([], found, model="gpt-4o-mini").completion_tokens == 0
