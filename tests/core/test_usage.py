"""What providers report as billed, in the words of each."""

from typing import Any

import pytest

from proxy.core.exchange import Usage
from proxy.core.usage import reported_usage

BOTH = Usage(prompt=2000, completion=50, cached=1200, written=700)


def reported(prompt: int, **fields: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": 50, "total_tokens": prompt + 50, **fields}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(reported(2000, prompt_tokens_details={"cached_tokens": 1200, "cache_write_tokens": 700}), id="OpenAI, OpenRouter"),
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
            reported(100, total_tokens=2050, cache_read_input_tokens=1200, cache_creation_input_tokens=700),
            id="Portkey",
        ),
        pytest.param(reported(100, cache_read_input_tokens=1200, cache_creation_input_tokens=700), id="more than the prompt"),
    ],
)
def test_tokens_of_the_prefix_cache_are_part_of_the_prompt_whoever_reports_them(value: dict[str, Any]) -> None:
    assert reported_usage(value) == BOTH


def test_the_same_tokens_under_several_names_are_counted_once() -> None:
    value = reported(1000, cache_creation_input_tokens=700, prompt_tokens_details={"cache_write_tokens": 700, "cache_creation_tokens": 0})
    assert reported_usage(value) == Usage(prompt=1000, completion=50, written=700)


@pytest.mark.parametrize("details", [None, "much", [], {}, {"cached_tokens": None, "cache_write_tokens": -5}, {"cache_write_tokens": True}])
def test_what_makes_no_sense_is_not_billed(details: Any) -> None:
    assert reported_usage(reported(1000, prompt_tokens_details=details)) == Usage(prompt=1000, completion=50)


@pytest.mark.parametrize("value", [None, [], {}, {"prompt_tokens": 5}, {"prompt_tokens": "5", "completion_tokens": 1}])
def test_a_report_without_prompt_and_completion_is_none(value: Any) -> None:
    assert reported_usage(value) is None
