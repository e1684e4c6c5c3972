"""Every part of a request that a model may read is in the key, compared,
or keeps the answer out of the semantic tier."""

from typing import Any

import orjson
import pytest

from plans.snapshot import CacheSettings
from proxy.core.caching.cache_keys import bucket_key
from proxy.core.caching.eligibility import is_online_model, semantic_ineligibility
from proxy.core.formats.chat_completions import parse_chat_request
from proxy.core.formats.model_input import (
    EXACT_ONLY_FIELDS,
    KEY_FIELDS,
    TOOL_OFFER_FIELDS,
    UNREAD_FIELDS,
)
from tests.core.caching.test_cache_keys import PLAN, ROUTE

MESSAGES: list[dict[str, Any]] = [{"role": "user", "content": "How do I pay?"}]
# Fields with a rule of their own: values under which a request stays in the semantic tier.
HARMLESS: dict[str, Any] = {
    "model": "other",
    "temperature": 0.5,
    "n": 1,
    "response_format": {"type": "text"},
    "logprobs": False,
    "top_logprobs": 0,
}


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": MESSAGES} | fields


def refusal(**fields: Any) -> str | None:
    return semantic_ineligibility(parse_chat_request(orjson.dumps(body(**fields))), CacheSettings())


def bucket(**fields: Any) -> str:
    return bucket_key(body(**fields), scope="s", plan=PLAN, route=ROUTE)


@pytest.mark.parametrize("name", sorted(KEY_FIELDS))
def test_how_an_answer_is_drawn_is_in_the_key(name: str) -> None:
    value = HARMLESS.get(name, "x")
    assert refusal(**{name: value}) is None
    assert bucket(**{name: value}) != bucket()


@pytest.mark.parametrize("name", sorted(EXACT_ONLY_FIELDS))
def test_what_offers_tools_or_fetches_something_is_for_the_exact_tier(name: str) -> None:
    assert refusal(**{name: {}}) in {"tools", "media"}
    assert name not in TOOL_OFFER_FIELDS or refusal(**{name: []}) is None
    assert bucket(**{name: {}}) != bucket()


@pytest.mark.parametrize("name", sorted(UNREAD_FIELDS - {"user", "stream", "stream_options"}))
def test_what_no_model_reads_makes_no_difference(name: str) -> None:
    assert refusal(**{name: {"a": "b"}}) is None
    assert bucket(**{name: {"a": "b"}}) == bucket()


@pytest.mark.parametrize("name", ["tomorrows_field", "extra", "Temperature", "tools2"])
def test_what_nobody_knows_is_for_the_exact_tier(name: str) -> None:
    assert refusal(**{name: 0}) == "unknown-field"
    assert refusal(**{name: None}) is None


@pytest.mark.parametrize(
    "kind", ["image_url", "input_audio", "file", "refusal", "thinking", "tomorrows_part"]
)
def test_a_part_that_is_no_text_is_for_the_exact_tier(kind: str) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "q"}, {"type": kind}]}]
    assert refusal(messages=messages) == "media"


@pytest.mark.parametrize(
    "model",
    [
        "openai/gpt-5:online",
        "sonar",
        "perplexity/sonar-pro",
        "gpt-4o-search-preview",
        "o4-mini-deep-research",
    ],
)
def test_a_model_that_looks_things_up_is_known_by_its_name(model: str) -> None:
    assert is_online_model(model)
    assert not is_online_model("research-assistant-7b")
    assert not is_online_model("smart/balanced")
