"""From prices and what is known of a chat to the terms of its compression."""

from dataclasses import replace
from decimal import Decimal

import pytest

from plans.pricing import Price
from proxy.core.compression.turn_forecast import expected
from proxy.core.prompt_caching.conversations import Known, Sent
from proxy.core.prompt_caching.terms import HELD_SECONDS, outlook

PRICE = Price(input=Decimal("2.5"), output=Decimal(10), cached_input=Decimal("0.25"))
NOW = 1_000_000.0


FREE = Price(input=Decimal(0), output=Decimal(0), cached_input=Decimal(0))


@pytest.mark.parametrize("price", [None, Price(input=Decimal(1), output=Decimal(1)), FREE])
def test_without_a_discount_a_repeated_token_costs_what_a_fresh_one_does(price: Price | None) -> None:
    assert outlook(price, None).read == 1.0


def test_the_price_list_gives_the_discount() -> None:
    assert outlook(PRICE, None).read == pytest.approx(0.1)


@pytest.mark.parametrize(("listed", "premium"), [(None, 1.0), (Decimal("3.125"), 1.25), (Decimal("2.5"), 1.0), (Decimal(1), 1.0)])
@pytest.mark.parametrize("known", [None, Known()])
def test_the_price_list_gives_the_premium_for_writing(listed: Decimal | None, premium: float, known: Known | None) -> None:
    assert outlook(replace(PRICE, cache_write=listed), known).write == pytest.approx(premium)


@pytest.mark.parametrize("price", [None, replace(FREE, cache_write=Decimal(1))])
def test_without_a_price_no_premium_is_known(price: Price | None) -> None:
    assert outlook(price, None).write == 1.0


def test_where_nobody_can_say_the_chat_is_taken_as_held() -> None:
    terms = outlook(PRICE, None)
    assert (terms.held, terms.last) == (None, None)
    assert expected(8, terms.ahead) == 8


def test_a_chat_never_seen_is_cold_and_one_seen_is_held_for_a_while() -> None:
    assert outlook(PRICE, Known()).held is False
    known = Known(last=Sent("cut", NOW, 900))
    assert outlook(PRICE, known, now=NOW + HELD_SECONDS).held is True
    assert outlook(PRICE, known, now=NOW + HELD_SECONDS + 1).held is False
    assert outlook(PRICE, known, now=NOW).last == "cut"


@pytest.mark.parametrize(("provider", "seconds"), [("anthropic", 300), ("openai", 600), ("own", 600)])
def test_how_long_a_prefix_is_held_is_the_provider_s_rule(provider: str, seconds: int) -> None:
    known = Known(last=Sent("whole", NOW, 900))
    assert outlook(PRICE, known, provider=provider, now=NOW + seconds).held is True
    assert outlook(PRICE, known, provider=provider, now=NOW + seconds + 1).held is False


def test_what_the_chat_recalled_so_far_is_handed_on() -> None:
    terms = outlook(PRICE, Known(last=Sent("whole", NOW, 900, recalled=70, searched=8_000)), now=NOW)
    assert (terms.recalled, terms.searched) == (70, 8_000)


def test_the_tenant_s_chats_and_what_was_reported_count() -> None:
    terms = outlook(PRICE, Known(requests={1: 5000}, cached=0, repeated=10_000_000))
    assert expected(1, terms.ahead) < 1
    assert terms.read == 1.0
