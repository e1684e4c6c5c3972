"""From prices and what is known of a chat to the terms of its compression."""

from dataclasses import replace
from decimal import Decimal

import pytest

from plans.pricing import Price
from proxy.core.compression.turn_forecast import expected_turns
from proxy.core.prompt_caching.conversations import ConversationHistory, LastPrompt
from proxy.core.prompt_caching.terms import compression_terms
from proxy.core.providers import PREFIX_LIFETIME_SECONDS

PRICE = Price(input=Decimal("2.5"), output=Decimal(10), cached_input=Decimal("0.25"))
NOW = 1_000_000.0


FREE = Price(input=Decimal(0), output=Decimal(0), cached_input=Decimal(0))


@pytest.mark.parametrize("price", [None, Price(input=Decimal(1), output=Decimal(1)), FREE])
def test_without_a_discount_a_repeated_token_costs_what_a_fresh_one_does(
    price: Price | None,
) -> None:
    assert compression_terms(price, None).cached_price_ratio == 1.0


def test_the_price_list_gives_the_discount() -> None:
    assert compression_terms(PRICE, None).cached_price_ratio == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("listed", "premium"),
    [(None, 1.0), (Decimal("3.125"), 1.25), (Decimal("2.5"), 1.0), (Decimal(1), 1.0)],
)
@pytest.mark.parametrize("known", [None, ConversationHistory()])
def test_the_price_list_gives_the_premium_for_writing(
    listed: Decimal | None, premium: float, known: ConversationHistory | None
) -> None:
    assert compression_terms(
        replace(PRICE, cache_write=listed), known
    ).cache_write_ratio == pytest.approx(premium)


@pytest.mark.parametrize("price", [None, replace(FREE, cache_write=Decimal(1))])
def test_without_a_price_no_premium_is_known(price: Price | None) -> None:
    assert compression_terms(price, None).cache_write_ratio == 1.0


def test_where_nobody_can_say_the_chat_is_taken_as_held() -> None:
    terms = compression_terms(PRICE, None)
    assert (terms.prefix_is_warm, terms.last_sent) == (None, None)
    assert expected_turns(8, terms.turn_forecast) == 8


def test_a_chat_never_seen_is_cold_and_one_seen_is_held_for_a_while() -> None:
    assert compression_terms(PRICE, ConversationHistory()).prefix_is_warm is False
    known = ConversationHistory(last_prompt=LastPrompt("cut", NOW, 900))
    assert compression_terms(PRICE, known, now=NOW + PREFIX_LIFETIME_SECONDS).prefix_is_warm is True
    assert (
        compression_terms(PRICE, known, now=NOW + PREFIX_LIFETIME_SECONDS + 1).prefix_is_warm
        is False
    )
    assert compression_terms(PRICE, known, now=NOW).last_sent == "cut"


@pytest.mark.parametrize(
    ("provider", "seconds"), [("anthropic", 300), ("openai", 600), ("own", 600)]
)
def test_how_long_a_prefix_is_held_is_the_provider_s_rule(provider: str, seconds: int) -> None:
    known = ConversationHistory(last_prompt=LastPrompt("whole", NOW, 900))
    assert (
        compression_terms(PRICE, known, provider=provider, now=NOW + seconds).prefix_is_warm is True
    )
    assert (
        compression_terms(PRICE, known, provider=provider, now=NOW + seconds + 1).prefix_is_warm
        is False
    )


def test_what_the_chat_recalled_so_far_is_handed_on() -> None:
    terms = compression_terms(
        PRICE,
        ConversationHistory(
            last_prompt=LastPrompt("whole", NOW, 900, retrieved_tokens=70, searched_tokens=8_000)
        ),
        now=NOW,
    )
    assert (terms.retrieved_tokens, terms.searched_tokens) == (70, 8_000)


def test_the_tenant_s_chats_and_what_was_reported_count() -> None:
    terms = compression_terms(
        PRICE,
        ConversationHistory(
            requests_by_turn={1: 5000}, cached_tokens=0, repeated_tokens=10_000_000
        ),
    )
    assert expected_turns(1, terms.turn_forecast) < 1
    assert terms.cached_price_ratio == 1.0
