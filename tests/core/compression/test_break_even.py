"""Cut when it pays, and never go back and forth."""

from dataclasses import replace
from itertools import accumulate
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from plans.snapshot import CompressionSettings
from proxy.core.compression.break_even import RISK, Sizes, pays
from proxy.core.compression.layout import mark
from proxy.core.compression.turn_forecast import INTERVALS, LEAST, ahead, expected, interval
from proxy.core.compression.types import Last, Terms

BUDGET = 4096
SIZES = Sizes.of(CompressionSettings(engine="text_rank", max_input_tokens=BUDGET))
MEAN = SIZES.block + (SIZES.low + SIZES.high) // 2 + SIZES.recalled
NO_CHATS = ahead({})
SOON_OVER = ahead({1: 1000, 2: 1000, 3: 1000})
WARM = Terms(read=0.25, ahead=NO_CHATS, held=True, last="whole")

SENT: dict[bool, Last] = {True: "cut", False: "whole"}

prices = st.sampled_from((0.02, 0.1, 0.25, 0.5, 0.9, 1.0))
growth = st.lists(st.integers(1, 900), min_size=2, max_size=120)
histograms = st.dictionaries(st.sampled_from(INTERVALS), st.integers(0, 500))


def steadily(tokens: int, turns: int) -> list[int]:
    """A chat that grew to so many tokens in equal steps."""
    return [tokens * turn // turns for turn in range(1, turns + 1)]


def test_where_nothing_is_cached_it_pays_as_soon_as_the_cut_is_shorter() -> None:
    terms = replace(WARM, read=1.0)
    assert not pays(steadily(min(MEAN, BUDGET) - 100, 40), SIZES, terms)
    assert pays(steadily(MEAN + 300, 40), SIZES, terms)


def test_a_warm_chat_is_cut_when_what_is_recalled_costs_less_than_the_history() -> None:
    assert not pays(steadily(9_000, 300), SIZES, WARM)
    assert pays(steadily(15_500, 300), SIZES, WARM)
    assert not pays(steadily(15_500, 300), SIZES, replace(WARM, read=0.1))
    assert pays(steadily(40_000, 300), SIZES, replace(WARM, read=0.1))


def test_a_chat_about_to_end_is_left_alone() -> None:
    asked = steadily(15_500, 300)
    assert pays(asked, SIZES, WARM)
    assert not pays(asked[-3:], SIZES, replace(WARM, ahead=SOON_OVER))


def test_a_premium_for_writing_puts_it_off() -> None:
    first = next(tokens for tokens in range(4_096, 40_000, 100) if pays(steadily(tokens, 300), SIZES, WARM))
    dear = replace(WARM, write=2.0)
    assert next(tokens for tokens in range(4_096, 40_000, 100) if pays(steadily(tokens, 300), SIZES, dear)) > first


def test_a_cold_chat_is_cut_unless_the_turns_to_come_would_lose_it_again() -> None:
    cold = replace(WARM, read=0.1, held=False)
    asked = [8_800, 8_900, 9_000]
    assert pays(asked, SIZES, replace(cold, ahead=SOON_OVER))
    assert not pays(steadily(9_000, 200), SIZES, cold)
    assert not pays(asked, SIZES, replace(cold, ahead=SOON_OVER, held=True))


def test_system_text_counts_on_both_sides() -> None:
    assert pays(steadily(15_500, 300), SIZES, WARM)
    with_head = replace(SIZES, head=4_000, budget=BUDGET + 4_000)
    assert not pays(steadily(15_500, 300), with_head, WARM)
    assert pays(steadily(19_500, 300), with_head, WARM)


def test_a_chat_whose_questions_recall_little_is_cut_sooner() -> None:
    asked = steadily(8_000, 300)
    searched = sum(asked[200:])
    assert not pays(asked, SIZES, replace(WARM, searched=searched, recalled=100 * SIZES.recalled))
    assert pays(asked, SIZES, replace(WARM, searched=searched, recalled=100 * 200))


def test_what_was_cut_stays_cut() -> None:
    assert pays(steadily(5_000, 300), SIZES, replace(WARM, read=0.1, last="cut"))


@given(growth, prices, histograms, st.randoms(use_true_random=False))
def test_a_growing_chat_never_goes_back_even_without_state(steps: list[int], read: float, seen: dict[int, int], fate: Random) -> None:
    asked, terms = list(accumulate(steps)), Terms(read=read, ahead=ahead(seen), held=True)
    decisions: list[bool] = []
    for turn in range(1, len(asked) + 1):
        last = SENT[decisions[-1]] if decisions and fate.random() < 0.5 else None
        decisions.append(pays(asked[:turn], SIZES, replace(terms, last=last)))
    assert decisions == sorted(decisions)


@given(st.sampled_from((256, 1024, 4096)), growth, prices, st.sampled_from((1.0, 1.25)), histograms)
@settings(max_examples=300)
def test_whenever_a_chat_ends_it_cost_a_hundredth_more_at_most(
    budget: int, steps: list[int], read: float, write: float, seen: dict[int, int]
) -> None:
    sizes = Sizes.of(CompressionSettings(engine="text_rank", max_input_tokens=budget))
    terms = Terms(read=read, write=write if read < 1 else 1.0, ahead=ahead(seen), held=True)
    whole = saving = 0.0
    before, prefix, at = 0, 0, -1
    last: Last = None
    for turn, asked in enumerate(accumulate(steps), 1):
        old = mark(steps[: turn - 1], budget)
        price = cost(asked, before, terms)
        whole += price
        if asked > budget and pays(list(accumulate(steps[:turn])), sizes, replace(terms, last=last)):
            block = min(sizes.block, sum(steps[:old]))
            kept = block + sum(steps[old : turn - 1])
            recalled = max(0, min(sizes.recalled, sum(steps[:old]) - block, budget - kept - steps[turn - 1]))
            saving += cost(kept, prefix if old == at and last == "cut" else 0, terms) + recalled + terms.write * steps[turn - 1]
            prefix, at, last = kept, old, "cut"
        else:
            saving += price
            last = "whole"
        before = asked
        assert saving <= (1 + RISK) * whole + 1e-6


def cost(tokens: int, held: int, terms: Terms) -> float:
    """Of a prompt of which the provider holds so much."""
    held = held if held >= terms.minimum else 0
    return terms.read * held + terms.write * (tokens - held)


def test_without_chats_as_many_turns_are_expected_as_there_were() -> None:
    assert [expected(turn, NO_CHATS) for turn in (1, 2, 4, 64, 1024)] == [1, 2, 4, 64, 1024]


def test_chats_of_one_turn_end_at_once_and_long_ones_where_others_did() -> None:
    assert expected(1, ahead({1: 10_000})) == LEAST
    seen: dict[int, int] = {}
    for _ in range(1000):
        for turn in range(1, 49):
            seen[interval(turn)] = seen.get(interval(turn), 0) + 1
    known = ahead(seen)
    assert expected(1, known) == 32  # 47, in powers of two
    assert expected(32, known) == 16
    assert expected(64, known) == 64  # none came so far: the prior


@given(histograms, st.integers(1, 10_000))
def test_expectations_are_powers_of_two_for_every_turn(seen: dict[int, int], turn: int) -> None:
    found = expected(turn, ahead(seen))
    assert found >= LEAST
    assert found.as_integer_ratio()[0] & (found.as_integer_ratio()[0] - 1) == 0
