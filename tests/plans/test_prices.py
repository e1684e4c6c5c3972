"""The price table: seeded from the published prices, edited by people,
looked up by provider and model."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.core.management import call_command
from pytest_django import DjangoAssertNumQueries

from plans import published_prices, selectors, services
from plans.forms.model_forms import ModelPriceForm
from plans.models import ModelPrice
from plans.pricing import Price

pytestmark = pytest.mark.django_db
MINI = Price(input=Decimal("0.15"), output=Decimal("0.6"), cached_input=Decimal("0.075"))


def test_seeding_fills_the_table_fast_and_then_has_nothing_to_do() -> None:
    published_prices.load_published_prices()  # the package reads its data once
    start = time.perf_counter()
    assert services.seed_prices() > 1500
    assert time.perf_counter() - start < 5
    before = selectors.get_revision()
    assert services.seed_prices() == 0
    assert selectors.get_revision() == before


def test_an_edited_row_is_never_overwritten_and_an_outdated_one_is() -> None:
    services.seed_prices()
    ModelPrice.objects.filter(provider="openai", model="gpt-4o-mini").update(input=9, edited=True)
    ModelPrice.objects.filter(provider="openai", model="gpt-4o").update(input=9)
    ModelPrice.objects.create(provider="own", model="llama", input=0, output=0)
    assert services.seed_prices() == 1
    assert ModelPrice.objects.get(provider="openai", model="gpt-4o-mini").input == 9
    assert ModelPrice.objects.get(provider="openai", model="gpt-4o").input == Decimal("2.5")
    assert selectors.load_price("own", "llama") == Price(input=Decimal(0), output=Decimal(0))


def test_the_command_says_how_many(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("seed_prices")
    assert int(capsys.readouterr().out.split()[0]) > 1500


def test_a_dated_name_has_the_price_of_its_model() -> None:
    services.seed_prices()
    for name in ("gpt-4o-mini", "gpt-4o-mini-2024-07-18"):
        price = selectors.load_price("openai", name)
        assert price is not None
        assert replace(price, terms=()) == MINI
    assert selectors.load_price("azure", "gpt-4o-mini-2024-07-18") is not None


def test_an_exact_row_comes_before_the_model_it_is_an_alias_of() -> None:
    services.seed_prices()
    ModelPrice.objects.create(
        provider="openai", model="gpt-4o-mini-2024-07-18", input=7, output=7, edited=True
    )
    price = selectors.load_price("openai", "gpt-4o-mini-2024-07-18")
    assert price
    assert price.input == 7


def test_what_is_unknown_is_unpriced_and_not_free() -> None:
    services.seed_prices()
    assert selectors.load_price("openai", "smart/balanced") is None
    assert selectors.load_price("nobody", "gpt-4o-mini") is None


def test_many_prices_take_two_queries(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    services.seed_prices()
    wanted = [
        ("openai", "gpt-4o-mini"),
        ("openai", "gpt-4o-2024-08-06"),
        ("anthropic", "claude-3-5-haiku-latest"),
        ("x", "y"),
    ]
    with django_assert_max_num_queries(2):
        assert set(selectors.load_prices(wanted)) == set(wanted[:3])


def test_the_ordinary_price_is_taken_not_the_peak_hour_nor_the_long_prompt() -> None:
    prices = published_prices.load_published_prices(datetime(2026, 11, 23, 8, tzinfo=UTC))
    assert prices["deepseek", "deepseek-chat"].input == Decimal("0.135")  # 0.27 from 00:30 to 16:30
    # Since September; 0.30 at peak hours.
    assert prices["deepseek", "deepseek-v4-flash"].input == Decimal("0.15")
    assert published_prices.load_published_prices(datetime(2026, 8, 20, tzinfo=UTC))[
        "deepseek", "deepseek-v4-flash"
    ].input == Decimal("0.22")


def test_the_price_of_writing_into_the_prefix_cache_is_listed_where_it_is_above_that_of_input() -> (
    None
):
    prices = published_prices.load_published_prices(datetime(2026, 11, 23, 8, tzinfo=UTC))
    written = prices["anthropic", "claude-sonnet-4-5"].cache_write
    assert written == prices["anthropic", "claude-sonnet-4-5"].input * Decimal("1.25")
    assert prices["openai", "gpt-5.6-sol"].cache_write == Decimal(5)
    assert prices["openai", "gpt-4o-mini"].cache_write is None
    # Listed is what storing costs besides.
    assert prices["openrouter", "google/gemini-2.5-flash"].cache_write is None


def test_a_table_from_before_there_were_terms_gets_them_and_hands_them_out() -> None:
    services.seed_prices()
    ModelPrice.objects.filter(provider="google", model="gemini-2.5-pro").update(terms="")
    before = selectors.load_price("google", "gemini-2.5-pro")
    assert before is not None
    assert before.compute_cost(prompt=250_000, completion=1_000) == Decimal("0.3225")
    assert services.seed_prices() == 1
    after = selectors.load_price("google", "gemini-2.5-pro")
    assert after is not None
    assert after.compute_cost(prompt=250_000, completion=1_000) == Decimal("0.64")


def test_terms_written_past_the_form_leave_the_model_without_a_price(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ModelPrice.objects.create(
        provider="own", model="llama", input=1, output=1, terms="above all: input 2"
    )
    ModelPrice.objects.create(provider="own", model="other", input=1, output=1)
    assert set(selectors.load_prices([("own", "llama"), ("own", "other")])) == {("own", "other")}
    assert "own/llama" in caplog.text


def test_the_form_refuses_terms_that_say_nothing_and_names_the_line() -> None:
    row = {
        "provider": "own",
        "model": "llama",
        "input": "1",
        "output": "2",
        "terms": "above 5: input 2\nabove x: input 3",
    }
    form = ModelPriceForm(row)
    assert not form.is_valid()
    assert "Line 2" in form.errors["terms"][0]
    form = ModelPriceForm(row | {"terms": "above 5: input 2, output 3"})
    assert form.is_valid(), form.errors
    assert form.save().price.compute_cost(prompt=6, completion=1) * 1_000_000 == 15


def test_a_table_from_before_that_price_gets_it_and_hands_it_out() -> None:
    services.seed_prices()
    ModelPrice.objects.filter(provider="openai", model="gpt-5.6-sol").update(cache_write=None)
    assert services.seed_prices() == 1
    found = selectors.load_price("openai", "gpt-5.6-sol")
    assert found is not None
    assert found.cache_write == Decimal(5)


def test_models_not_billed_by_prompt_and_completion_are_left_out() -> None:
    assert ("openai", "text-embedding-3-large") not in published_prices.load_published_prices()
