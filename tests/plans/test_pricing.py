"""Prices to costs, exactly."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plans.pricing import Price

MINI = Price(input=Decimal("0.15"), output=Decimal("0.6"), cached_input=Decimal("0.075"))


def test_a_million_tokens_cost_the_listed_price() -> None:
    assert MINI.compute_cost(prompt=1_000_000, completion=0) == Decimal("0.15")
    assert MINI.compute_cost(prompt=0, completion=1_000_000) == Decimal("0.6")


def test_cached_tokens_are_part_of_the_prompt_and_cost_less() -> None:
    assert MINI.compute_cost(prompt=1_000_000, completion=0, cached=1_000_000) == Decimal("0.075")
    assert (
        MINI.compute_cost(prompt=1000, completion=10, cached=400)
        == (600 * MINI.input + 400 * Decimal("0.075") + 10 * MINI.output) / 1_000_000
    )


def test_without_a_cached_price_there_is_no_discount() -> None:
    price = Price(input=Decimal(3), output=Decimal(15))
    assert price.compute_cost(prompt=1000, completion=0, cached=1000) == price.compute_cost(
        prompt=1000, completion=0
    )


def test_written_tokens_cost_more_where_the_provider_asks_more() -> None:
    price = Price(
        input=Decimal(4), output=Decimal(20), cached_input=Decimal("0.4"), cache_write=Decimal(5)
    )
    assert price.compute_cost(prompt=1000, completion=0, cached=600, written=300) == (
        100 * 4 + 600 * Decimal("0.4") + 300 * 5
    ) / Decimal(1_000_000)
    assert MINI.compute_cost(prompt=1000, completion=0, written=1000) == MINI.compute_cost(
        prompt=1000, completion=0
    )


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_costs_add_up_to_the_last_digit(first: int, second: int, completion: int) -> None:
    whole = MINI.compute_cost(prompt=first + second, completion=completion)
    assert (
        MINI.compute_cost(prompt=first, completion=completion)
        + MINI.compute_cost(prompt=second, completion=0)
        == whole
    )


@pytest.mark.parametrize(
    "counts",
    [(-1, 0, 0, 0), (0, -1, 0, 0), (5, 0, 6, 0), (5, 0, -1, 0), (5, 0, 3, 3), (5, 0, 0, -1)],
)
def test_impossible_counts_are_refused(counts: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="cached \\+ written <= prompt"):
        MINI.compute_cost(
            prompt=counts[0], completion=counts[1], cached=counts[2], written=counts[3]
        )
