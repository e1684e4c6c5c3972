"""Cut when it pays, and never go back and forth."""

from dataclasses import replace
from itertools import accumulate
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from plans.snapshot import CompressionSettings
from proxy.core.compression.break_even import MAX_LOSS_SHARE, LayoutSizes, compression_pays
from proxy.core.compression.layout import frozen_boundary
from proxy.core.compression.results import CompressionTerms, LastSent
from proxy.core.compression.turn_forecast import (
    INTERVAL_STARTS,
    MIN_EXPECTED_TURNS,
    expected_turns,
    find_interval,
    forecast_turns,
)

BUDGET = 4096
SIZES = LayoutSizes.for_settings(CompressionSettings(engine="text_rank", max_input_tokens=BUDGET))
MEAN = (
    SIZES.block_tokens
    + (SIZES.low_water_tokens + SIZES.high_water_tokens) // 2
    + SIZES.max_retrieved_tokens
)
NO_CHATS = forecast_turns({})
SOON_OVER = forecast_turns({1: 1000, 2: 1000, 3: 1000})
WARM = CompressionTerms(
    cached_price_ratio=0.25, turn_forecast=NO_CHATS, prefix_is_warm=True, last_sent="whole"
)

SENT: dict[bool, LastSent] = {True: "cut", False: "whole"}

prices = st.sampled_from((0.02, 0.1, 0.25, 0.5, 0.9, 1.0))
growth = st.lists(st.integers(1, 900), min_size=2, max_size=120)
histograms = st.dictionaries(st.sampled_from(INTERVAL_STARTS), st.integers(0, 500))


def steadily(tokens: int, turns: int) -> list[int]:
    """A chat that grew to so many tokens in equal steps."""
    return [tokens * turn // turns for turn in range(1, turns + 1)]


def test_where_nothing_is_cached_it_pays_as_soon_as_the_cut_is_shorter() -> None:
    terms = replace(WARM, cached_price_ratio=1.0)
    assert not compression_pays(steadily(min(MEAN, BUDGET) - 100, 40), SIZES, terms)
    assert compression_pays(steadily(MEAN + 300, 40), SIZES, terms)


def test_a_warm_chat_is_cut_when_what_is_recalled_costs_less_than_the_history() -> None:
    assert not compression_pays(steadily(9_000, 300), SIZES, WARM)
    assert compression_pays(steadily(15_500, 300), SIZES, WARM)
    assert not compression_pays(steadily(15_500, 300), SIZES, replace(WARM, cached_price_ratio=0.1))
    assert compression_pays(steadily(40_000, 300), SIZES, replace(WARM, cached_price_ratio=0.1))


def test_a_chat_about_to_end_is_left_alone() -> None:
    asked = steadily(15_500, 300)
    assert compression_pays(asked, SIZES, WARM)
    assert not compression_pays(asked[-3:], SIZES, replace(WARM, turn_forecast=SOON_OVER))


def test_a_premium_for_writing_puts_it_off() -> None:
    first = next(
        tokens
        for tokens in range(4_096, 40_000, 100)
        if compression_pays(steadily(tokens, 300), SIZES, WARM)
    )
    dear = replace(WARM, cache_write_ratio=2.0)
    assert (
        next(
            tokens
            for tokens in range(4_096, 40_000, 100)
            if compression_pays(steadily(tokens, 300), SIZES, dear)
        )
        > first
    )


def test_a_cold_chat_is_cut_unless_the_turns_to_come_would_lose_it_again() -> None:
    cold = replace(WARM, cached_price_ratio=0.1, prefix_is_warm=False)
    asked = [8_800, 8_900, 9_000]
    assert compression_pays(asked, SIZES, replace(cold, turn_forecast=SOON_OVER))
    assert not compression_pays(steadily(9_000, 200), SIZES, cold)
    assert not compression_pays(
        asked, SIZES, replace(cold, turn_forecast=SOON_OVER, prefix_is_warm=True)
    )


def test_system_text_counts_on_both_sides() -> None:
    assert compression_pays(steadily(15_500, 300), SIZES, WARM)
    with_head = replace(SIZES, head_tokens=4_000, budget_tokens=BUDGET + 4_000)
    assert not compression_pays(steadily(15_500, 300), with_head, WARM)
    assert compression_pays(steadily(19_500, 300), with_head, WARM)


def test_a_chat_whose_questions_recall_little_is_cut_sooner() -> None:
    asked = steadily(8_000, 300)
    searched = sum(asked[200:])
    assert not compression_pays(
        asked,
        SIZES,
        replace(WARM, searched_tokens=searched, retrieved_tokens=100 * SIZES.max_retrieved_tokens),
    )
    assert compression_pays(
        asked, SIZES, replace(WARM, searched_tokens=searched, retrieved_tokens=100 * 200)
    )


def test_what_was_cut_stays_cut() -> None:
    assert compression_pays(
        steadily(5_000, 300), SIZES, replace(WARM, cached_price_ratio=0.1, last_sent="cut")
    )


@given(growth, prices, histograms, st.randoms(use_true_random=False))
def test_a_growing_chat_never_goes_back_even_without_state(
    steps: list[int], read: float, seen: dict[int, int], fate: Random
) -> None:
    asked, terms = (
        list(accumulate(steps)),
        CompressionTerms(
            cached_price_ratio=read, turn_forecast=forecast_turns(seen), prefix_is_warm=True
        ),
    )
    decisions: list[bool] = []
    for turn in range(1, len(asked) + 1):
        last = SENT[decisions[-1]] if decisions and fate.random() < 0.5 else None
        decisions.append(compression_pays(asked[:turn], SIZES, replace(terms, last_sent=last)))
    assert decisions == sorted(decisions)


@given(st.sampled_from((256, 1024, 4096)), growth, prices, st.sampled_from((1.0, 1.25)), histograms)
@settings(max_examples=300)
def test_whenever_a_chat_ends_it_cost_a_hundredth_more_at_most(
    budget: int, steps: list[int], read: float, write: float, seen: dict[int, int]
) -> None:
    sizes = LayoutSizes.for_settings(
        CompressionSettings(engine="text_rank", max_input_tokens=budget)
    )
    terms = CompressionTerms(
        cached_price_ratio=read,
        cache_write_ratio=write if read < 1 else 1.0,
        turn_forecast=forecast_turns(seen),
        prefix_is_warm=True,
    )
    whole = saving = 0.0
    before, prefix, at = 0, 0, -1
    last: LastSent = None
    for turn, asked in enumerate(accumulate(steps), 1):
        old = frozen_boundary(steps[: turn - 1], budget)
        price = cost(asked, before, terms)
        whole += price
        if asked > budget and compression_pays(
            list(accumulate(steps[:turn])), sizes, replace(terms, last_sent=last)
        ):
            block = min(sizes.block_tokens, sum(steps[:old]))
            kept = block + sum(steps[old : turn - 1])
            recalled = max(
                0,
                min(
                    sizes.max_retrieved_tokens,
                    sum(steps[:old]) - block,
                    budget - kept - steps[turn - 1],
                ),
            )
            saving += (
                cost(kept, prefix if old == at and last == "cut" else 0, terms)
                + recalled
                + terms.cache_write_ratio * steps[turn - 1]
            )
            prefix, at, last = kept, old, "cut"
        else:
            saving += price
            last = "whole"
        before = asked
        assert saving <= (1 + MAX_LOSS_SHARE) * whole + 1e-6


def cost(tokens: int, held: int, terms: CompressionTerms) -> float:
    """Of a prompt of which the provider holds so much."""
    held = held if held >= terms.min_cacheable_tokens else 0
    return terms.cached_price_ratio * held + terms.cache_write_ratio * (tokens - held)


def test_without_chats_as_many_turns_are_expected_as_there_were() -> None:
    assert [expected_turns(turn, NO_CHATS) for turn in (1, 2, 4, 64, 1024)] == [1, 2, 4, 64, 1024]


def test_chats_of_one_turn_end_at_once_and_long_ones_where_others_did() -> None:
    assert expected_turns(1, forecast_turns({1: 10_000})) == MIN_EXPECTED_TURNS
    seen: dict[int, int] = {}
    for _ in range(1000):
        for turn in range(1, 49):
            seen[find_interval(turn)] = seen.get(find_interval(turn), 0) + 1
    known = forecast_turns(seen)
    assert expected_turns(1, known) == 32  # 47, in powers of two
    assert expected_turns(32, known) == 16
    assert expected_turns(64, known) == 64  # none came so far: the prior


@given(histograms, st.integers(1, 10_000))
def test_expectations_are_powers_of_two_for_every_turn(seen: dict[int, int], turn: int) -> None:
    found = expected_turns(turn, forecast_turns(seen))
    assert found >= MIN_EXPECTED_TURNS
    assert found.as_integer_ratio()[0] & (found.as_integer_ratio()[0] - 1) == 0
