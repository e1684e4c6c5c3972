"""The short ways of the everyday case say what the long ones say."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from plans.pricing import NO_TOKEN_DETAILS, Price, TokenDetails
from proxy.core.formats.usage import parse_any_usage, parse_ordinary_usage

RATES = st.decimals(0, 1000, places=6)
PRICES = st.builds(
    Price, input=RATES, output=RATES, cached_input=st.none() | RATES, cache_write=st.none() | RATES
)
numbers = st.one_of(
    st.integers(-2, 120), st.none(), st.booleans(), st.floats(0, 50), st.just("7"), st.just(10**9)
)
details = st.one_of(
    numbers,
    st.dictionaries(
        st.sampled_from(
            ["cached_tokens", "audio_tokens", "reasoning_tokens", "cache_creation", "x"]
        ),
        numbers,
        max_size=4,
    ),
)
USAGES = st.fixed_dictionaries(
    {
        "prompt_tokens": st.integers(-1, 100),
        "completion_tokens": st.integers(-1, 100),
        "total_tokens": st.integers(-1, 200),
    },
    optional={
        "prompt_tokens_details": details,
        "completion_tokens_details": details,
        "cost": numbers,
        "cached_tokens": numbers,
    },
)


@given(PRICES, st.integers(0, 10**9), st.integers(0, 10**9), st.data())
def test_a_plain_price_is_the_sum_of_its_parts(
    price: Price, prompt: int, completion: int, data: st.DataObject
) -> None:
    cached = data.draw(st.integers(0, prompt))
    written = data.draw(st.integers(0, prompt - cached))
    plain = price.compute_cost(prompt=prompt, completion=completion, cached=cached, written=written)
    other = TokenDetails()  # equal to NO_DETAILS, and not the same object: the long way
    assert other is not NO_TOKEN_DETAILS
    assert plain == price.compute_cost(
        prompt=prompt, completion=completion, cached=cached, written=written, details=other
    )


@given(USAGES, st.booleans())
def test_an_ordinary_usage_is_read_as_any_other(usage: dict[str, Any], adds_up: bool) -> None:
    if adds_up:
        usage["total_tokens"] = usage["prompt_tokens"] + usage["completion_tokens"]
    found = parse_ordinary_usage(usage, "flex")
    assert found is None or found == parse_any_usage(usage, "openai", "flex")


def test_the_usual_usage_takes_the_short_way() -> None:
    usage = {
        "prompt_tokens": 1200,
        "completion_tokens": 30,
        "total_tokens": 1230,
        "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    found = parse_ordinary_usage(usage)
    assert found is not None
    assert (found.prompt_tokens, found.completion_tokens, found.cached_tokens) == (1200, 30, 1024)
