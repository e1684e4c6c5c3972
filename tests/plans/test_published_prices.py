"""The price list's own calculation and ours, over all that it lists for chats."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pytest
from genai_prices import data_snapshot
from genai_prices import types as listed

from plans import price_terms, published_prices
from plans.pricing import Price, PriceTerm, RateCondition, TokenDetails

NOW: Final = datetime(2026, 11, 23, 8, tzinfo=UTC)
TOLERANCE: Final = Decimal("0.000000001")
LENGTHS: Final = (
    0,
    1,
    1_000,
    32_000,
    32_001,
    100_001,
    128_000,
    128_001,
    199_999,
    200_000,
    200_001,
    250_000,
    272_001,
    600_000,
)


def models() -> list[tuple[str, listed.Provider, listed.ModelInfo, Price]]:
    prices = published_prices.load_published_prices(NOW)
    return [
        (f"{provider.id}/{model.id}", provider, model, prices[provider.id, model.id])
        for provider in data_snapshot.get_snapshot().providers
        for model in provider.models
        if (provider.id, model.id) in prices
    ]


def counts(chance: random.Random, prices: listed.ModelPrice, price: Price) -> dict[str, int]:
    """Tokens that the model may bill, in parts that fit."""
    prompt = chance.choice(LENGTHS)
    room = prompt
    found = {"prompt": prompt, "completion": chance.choice((0, 1, 500, 8_000, 70_000))}

    def part(name: str, wanted: bool) -> None:
        nonlocal room
        if wanted:
            found[name] = chance.randint(0, room)
            room -= found[name]

    def has(key: str) -> bool:
        return getattr(prices, key) is not None

    part("cached", has("cache_read_mtok"))
    part("written", has("cache_write_mtok") and price.cache_write is not None)
    part("audio", has("input_audio_mtok"))
    part("image", has("input_image_mtok"))
    part("video", has("input_video_mtok"))
    if has("cache_write_1h_mtok"):
        found["written_1h"] = chance.randint(0, found.get("written", 0))
    for name, kind in (("cached_audio", "audio"), ("cached_image", "image")):
        if has(f"cache_{kind}_read_mtok"):  # part of both
            found[name] = both = chance.randint(0, room)
            room -= both
            found[kind] = found.get(kind, 0) + both
            found["cached"] = found.get("cached", 0) + both
    left = found["completion"]
    for name, key in (
        ("output_audio", "output_audio_mtok"),
        ("output_image", "output_image_mtok"),
        ("output_video", "output_video_mtok"),
    ):
        if has(key):
            found[name] = chance.randint(0, left)
            left -= found[name]
    if has("output_reasoning_mtok"):
        found["reasoning"] = chance.randint(0, left)
    return found


def ours(price: Price, of: dict[str, int], at: datetime, service_tier: str = "") -> Decimal:
    own = {name: of.get(name, 0) for name in ("prompt", "completion", "cached", "written")}
    details = TokenDetails(**{name: number for name, number in of.items() if name not in own})
    return price.compute_cost(**own, details=details, at=at.timestamp(), service_tier=service_tier)


def theirs(
    provider: listed.Provider,
    model: listed.ModelInfo,
    of: dict[str, int],
    at: datetime,
    context: dict[str, str] | None,
) -> Decimal:
    names: dict[str, Any] = {
        "prompt": "input_tokens",
        "completion": "output_tokens",
        "cached": "cache_read_tokens",
        "written": "cache_write_tokens",
        "written_1h": "cache_write_1h_tokens",
        "cached_audio": "cache_audio_read_tokens",
        "cached_image": "cache_image_read_tokens",
        "audio": "input_audio_tokens",
        "image": "input_image_tokens",
        "video": "input_video_tokens",
        "output_audio": "output_audio_tokens",
        "output_image": "output_image_tokens",
        "output_video": "output_video_tokens",
        "reasoning": "output_reasoning_tokens",
    }
    usage = {names[name]: number for name, number in of.items()}
    # The list asks for the part that is both.
    if "input_audio_tokens" in usage or "input_image_tokens" in usage:
        usage = {"cache_audio_read_tokens": 0, "cache_image_read_tokens": 0} | usage
    found = model.calc_price(
        listed.Usage(**usage), provider, genai_request_timestamp=at, price_context=context
    )
    return found.total_price


def test_every_model_of_the_list_bills_as_the_list_itself_reckons() -> None:
    chance = random.Random(18)
    apart, compared = [], 0
    for name, provider, model, price in models():
        for _ in range(12):
            at = NOW.replace(hour=0) + timedelta(minutes=chance.randrange(24 * 60))
            of = counts(chance, model.get_prices(at), price)
            compared += 1
            mine, his = ours(price, of, at), theirs(provider, model, of, at, None)
            if abs(mine - his) > TOLERANCE:
                apart.append(f"{name} {of} {at:%H:%M}: {mine} here, {his} there")
    assert compared > 20_000
    assert not apart, f"{len(apart)} of {compared}:\n" + "\n".join(apart[:10])


def test_every_service_tier_of_the_list_bills_as_the_list_itself_reckons() -> None:
    chance = random.Random(19)
    apart, compared = [], 0
    for name, provider, model, price in models():
        tiers = {
            variant.when["service_tier"]
            for variant in model.price_variants or ()
            if set(variant.when) == {"service_tier"}
        }
        for tier in sorted(tiers):
            for _ in range(20):
                of = counts(chance, model.get_prices(NOW, {"service_tier": tier}), price)
                compared += 1
                mine, his = (
                    ours(price, of, NOW, tier),
                    theirs(provider, model, of, NOW, {"service_tier": tier}),
                )
                if abs(mine - his) > TOLERANCE:
                    apart.append(f"{name} {tier} {of}: {mine} here, {his} there")
    assert compared > 500
    assert not apart, f"{len(apart)} of {compared}:\n" + "\n".join(apart[:10])


def test_a_day_to_come_is_in_the_price_before_it_comes() -> None:
    early = datetime(2026, 8, 1, tzinfo=UTC)
    price = published_prices.load_published_prices(early)["deepseek", "deepseek-v4-flash"]
    provider = next(
        each for each in data_snapshot.get_snapshot().providers if each.id == "deepseek"
    )
    model = next(each for each in provider.models if each.id == "deepseek-v4-flash")
    of = {"prompt": 1_000_000, "completion": 1_000, "cached": 400_000}
    for days in (0, 10, 18, 30, 50, 100):
        for hour in (0, 2, 5, 7, 12, 23):
            at = early + timedelta(days=days, hours=hour)
            assert ours(price, of, at) == theirs(provider, model, of, at, None), at


def test_a_prompt_longer_than_the_tier_costs_more_all_of_it() -> None:
    price = published_prices.load_published_prices(NOW)["google", "gemini-2.5-pro"]
    assert price.compute_cost(prompt=250_000, completion=1_000) == Decimal("0.64")
    assert price.compute_cost(prompt=200_000, completion=1_000) == Decimal("0.26")


def test_terms_of_every_model_are_the_same_once_written_and_read() -> None:
    written = 0
    for name, _, _, price in models():
        text = price_terms.format_terms(price.terms)
        assert price_terms.parse_terms(text) == price.terms, name
        assert len(text) <= price_terms.MAX_TERMS_LENGTH, name
        written += bool(text)
    assert written > 200


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("above many: input 1", "Line 1.*above many"),
        ("input 1\nabove 5: inptu 1", "Line 2.*inptu.*cached_input"),
        ("input", "Line 1: input needs an amount"),
        ("input -1", "amount"),
        ("input 1e30", "amount"),
        ("input NaN", "amount"),
        ("since 2027-13-40: input 1", "since 2027-13-40"),
        ("from 25:00 to 26:00: input 1", "from 25:00"),
        ("above 5:", "no rate"),
        ("x" * 6000, "At most"),
    ],
)
def test_terms_that_say_nothing_are_refused_with_what_is_accepted(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        price_terms.parse_terms(text)


def test_a_condition_stands_in_place_of_the_whole_price_and_the_last_one_counts() -> None:
    terms = price_terms.parse_terms(
        "above 100: input 2\nfrom 22:00 to 02:00: input 10, output 20\n"
        "service tier flex: input 5, output 6"
    )
    price = Price(input=Decimal(1), output=Decimal(1), cached_input=Decimal("0.1"), terms=terms)
    night, day = (
        datetime(2026, 1, 1, 23, tzinfo=UTC).timestamp(),
        datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp(),
    )
    assert price.compute_cost(prompt=100, completion=0, at=day) * 1_000_000 == 100
    assert price.compute_cost(prompt=101, completion=0, at=day) * 1_000_000 == 202
    assert price.compute_cost(prompt=101, completion=0, cached=101, at=night) * 1_000_000 == 1010
    assert (
        price.compute_cost(prompt=10, completion=1, at=night, service_tier="flex") * 1_000_000 == 56
    )
    assert price.compute_cost(prompt=10, completion=0) * 1_000_000 == 10
    assert terms[1] == PriceTerm(
        rates=(("input", Decimal(10)), ("output", Decimal(20))),
        condition=RateCondition(daily_hours=terms[1].condition.daily_hours),
    )
