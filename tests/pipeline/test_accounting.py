"""What the provider's prefix cache would have taken off without a plan,
and what cutting therefore really saves."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from evaluation.chats import Chat
from evaluation.modelled import said
from plans.pricing import Price
from plans.snapshot import CompressionSettings
from proxy.core.answers import CachedAnswer
from proxy.core.caching.envelope import Envelope
from proxy.core.compression.results import CompressionResult
from proxy.core.config import ProviderEndpoint, Route
from proxy.core.formats.chat_completions import ChatRequest
from proxy.core.formats.usage import Usage
from proxy.core.prompt_caching.conversations import ConversationHistory, LastPrompt
from proxy.pipeline.accounting import (
    CACHED_TOKENS_STEP,
    MIN_CACHED_TOKENS,
    expected_cached_tokens,
    savings,
)
from proxy.pipeline.call import Call, evolve
from proxy.pipeline.clients import NullClient

PRICE = Price(input=Decimal(10), output=Decimal(30), cached_input=Decimal(1))
NOW = 1_770_000_000.0
TURN = [{"role": "user", "content": "a" * 988}, {"role": "assistant", "content": "b" * 988}]


def call(
    turns: int = 3,
    *,
    price: Price | None = PRICE,
    provider: str = "openai",
    body: dict[str, Any] | None = None,
    **fields: Any,
) -> Call:
    """A request after so many whole turns of a thousand characters a message."""
    messages: list[dict[str, Any]] = [*TURN * turns, {"role": "user", "content": "c" * 988}]
    upstream = ProviderEndpoint(id=1, name="it", base_url="http://it/v1", provider=provider)
    route = Route(id=1, name="it", version=1, upstream=upstream, model="gpt-4o-mini", price=price)
    asked = ChatRequest(
        body={"messages": messages} | (body or {}), model="gpt-4o-mini", messages=messages
    )
    return Call(
        request_id="",
        at=NOW,
        started_at=0.0,
        client=NullClient(),
        request=asked,
        route=route,
        status=200,
        **fields,
    )


def hit(made: float, asked: int = 7_000) -> CachedAnswer:
    envelope = Envelope(
        scope="",
        plan_id=1,
        created_at=made,
        expires_at=NOW + 60,
        completion=b"{}",
        asked_tokens=asked,
        question_tokens=0,
        completion_tokens=10,
    )
    return CachedAnswer(envelope, "exact", asked)


def test_the_turn_before_is_warm() -> None:
    # Five of seven messages stood in the request before.
    assert expected_cached_tokens(call(), 7_000) == 5_000 // CACHED_TOKENS_STEP * CACHED_TOKENS_STEP


def test_nothing_is_warm_of_a_first_turn_or_below_the_minimum() -> None:
    assert expected_cached_tokens(call(0), 7_000) == 0
    assert expected_cached_tokens(call(), MIN_CACHED_TOKENS - 1) == 0
    # Five of seven of it are too few.
    assert expected_cached_tokens(call(), MIN_CACHED_TOKENS + CACHED_TOKENS_STEP) == 0


@pytest.mark.parametrize("price", [None, replace(PRICE, cached_input=None)])
def test_nothing_is_warm_where_nothing_is_cheaper(price: Price | None) -> None:
    assert expected_cached_tokens(call(price=price), 7_000) == 0


def test_a_chat_that_rested_is_cold_where_that_is_known() -> None:
    for ago, warm in ((60.0, True), (3_600.0, False)):
        known = ConversationHistory(last_prompt=LastPrompt("whole", NOW - ago, 5_000))
        assert bool(expected_cached_tokens(call(conversation=known), 7_000)) is warm


def test_anthropic_remembers_what_was_marked() -> None:
    marked = {
        "system": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}]
    }
    assert expected_cached_tokens(call(provider="anthropic"), 7_000) == 0
    assert expected_cached_tokens(call(provider="anthropic", body=marked), 7_000) > 0


def test_a_repeat_would_have_been_warm_altogether_while_it_is_held() -> None:
    assert (
        expected_cached_tokens(call(0, answer=hit(NOW - 60)), 7_000)
        == 7_000 // CACHED_TOKENS_STEP * CACHED_TOKENS_STEP
    )
    assert expected_cached_tokens(call(0, answer=hit(NOW - 3_600)), 7_000) == 0
    assert expected_cached_tokens(call(0, answer=hit(NOW), coalesced=True), 7_000) == 0


def test_a_hit_is_worth_what_the_provider_would_have_billed() -> None:
    found = savings(call(answer=hit(NOW - 3_600), tier="exact"))
    warm = 5_000 // CACHED_TOKENS_STEP * CACHED_TOKENS_STEP
    assert found.baseline_cost == PRICE.compute_cost(prompt=7_000, completion=10, cached=warm)
    assert found.saved_tokens == 7_010
    assert found.billed_cost == 0


def cut_call(**fields: Any) -> Call:
    cut = CompressionResult(
        messages=[{"role": "user", "content": "c"}],
        before=7_000,
        after=2_000,
        engine="trim",
        encoding="o200k_base",
    )
    sent: dict[str, Any] = {
        "compression": cut,
        "attempts": 1,
        "usage": Usage(prompt_tokens=2_000, completion_tokens=10),
    }
    return call(**(sent | fields))


def test_cutting_a_warm_prompt_may_cost_money() -> None:
    found = savings(cut_call())
    assert found.baseline_cost == PRICE.compute_cost(
        prompt=7_000, completion=10, cached=5_000 // CACHED_TOKENS_STEP * CACHED_TOKENS_STEP
    )
    dear = cut_call()
    more = evolve(
        dear,
        usage=Usage(prompt_tokens=6_500, completion_tokens=10),
        compression=CompressionResult(
            messages=[], before=7_000, after=6_500, engine="trim", encoding="o200k_base"
        ),
    )
    assert (savings(more).cost_saved or 0) < 0


def test_what_is_cached_of_the_cut_prompt_would_have_been_of_the_whole() -> None:
    found = savings(
        cut_call(
            turns=0, usage=Usage(prompt_tokens=2_000, completion_tokens=10, cached_tokens=1_024)
        )
    )
    assert found.baseline_cost == PRICE.compute_cost(prompt=7_000, completion=10, cached=1_024)


def test_marks_of_ours_are_no_marks_of_the_client() -> None:
    found = savings(
        cut_call(
            provider="anthropic",
            usage=Usage(
                prompt_tokens=2_000,
                completion_tokens=10,
                cached_tokens=1_024,
                cache_write_tokens=976,
            ),
        )
    )
    assert found.baseline_cost == PRICE.compute_cost(prompt=7_000, completion=10)


def test_who_charges_for_writing_would_have_written_the_rest() -> None:
    price = replace(PRICE, cache_write=Decimal(12))
    found = savings(
        cut_call(
            price=price,
            usage=Usage(prompt_tokens=2_000, completion_tokens=10, cache_write_tokens=2_000),
        )
    )
    warm = 5_000 // CACHED_TOKENS_STEP * CACHED_TOKENS_STEP
    assert found.baseline_cost == price.compute_cost(
        prompt=7_000, completion=10, cached=warm, written=7_000 - warm
    )


def test_a_request_that_nothing_was_cut_from_saves_nothing() -> None:
    found = savings(
        call(
            attempts=1, usage=Usage(prompt_tokens=7_000, completion_tokens=10, cached_tokens=4_096)
        )
    )
    assert found.cost_saved == 0


@pytest.mark.parametrize("ratio", [0.1, 0.5])
def test_the_model_says_what_a_provider_bills(ratio: float) -> None:
    """A chat of thirty turns against a provider that bills what it holds at the cached price."""
    words = (
        "the quick brown fox jumps over lazy dogs while seven wizards brew tea and talk about "
        "weather prices and trains"
    ).split()
    messages = [
        {
            "role": role,
            "content": " ".join(words[(turn * 7 + step * 3) % len(words)] for step in range(90))
            + f" {turn}.",
        }
        for turn in range(30)
        for role in ("user", "assistant")
    ]
    settings = CompressionSettings(engine="text_rank", max_input_tokens=1_024)
    found = said(Chat("one", "made", messages, ()), ratio, settings=settings, gap=60.0)
    assert found.would == pytest.approx(found.whole, rel=0.05)
    assert found.listed > 1.2 * found.whole  # without the model
