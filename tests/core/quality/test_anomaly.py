"""A semantic tier gone mad is seen; ordinary popular questions are not taken for it."""

import random

import pytest

from proxy.core.quality.anomaly import (
    BLOCK_QUESTIONS,
    HIT_RATE,
    MAX_FALSE_ALARM_PROBABILITY,
    ONE_ANSWER,
    HitRateMonitor,
    binomial_tail,
)

QUESTIONS = 4000


def stream(
    jumps: HitRateMonitor,
    source: random.Random,
    *,
    count: int,
    rate: float,
    exponent: float = 1.0,
    answers: int = 77,
) -> list[str]:
    """Alarms of so many new questions, a share of which hits answers of Zipf's popularity."""
    weights = [1 / (rank + 1) ** exponent for rank in range(answers)]
    alarms = []
    for _ in range(count):
        served = (
            f"answer {source.choices(range(answers), weights)[0]}" if source.random() < rate else ""
        )
        if alarm := jumps.observe_lookup(f"question {source.random()}", served):
            alarms.append(alarm[0])
    return alarms


@pytest.mark.parametrize("exponent", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_a_steady_stream_gives_no_alarm(rate: float, exponent: float) -> None:
    assert (
        stream(HitRateMonitor(), random.Random(1), count=QUESTIONS, rate=rate, exponent=exponent)
        == []
    )


def test_a_cache_that_fills_up_gives_no_alarm() -> None:
    jumps, source = HitRateMonitor(), random.Random(2)
    assert [
        alarm
        for step in range(40)
        for alarm in stream(jumps, source, count=50, rate=0.7 * min(1, step / 15))
    ] == []


def test_everything_that_gets_one_answer_is_seen_within_a_block_or_two() -> None:
    jumps, source = HitRateMonitor(), random.Random(3)
    assert stream(jumps, source, count=1000, rate=0.5) == []
    assert stream(jumps, source, count=2 * BLOCK_QUESTIONS, rate=1.0, answers=1)[0] == ONE_ANSWER


def test_one_answer_is_seen_without_any_history() -> None:
    assert stream(
        HitRateMonitor(), random.Random(4), count=BLOCK_QUESTIONS, rate=0.9, answers=1
    ) == [ONE_ANSWER]


def test_a_jump_of_the_hit_rate_is_seen() -> None:
    jumps, source = HitRateMonitor(), random.Random(5)
    assert stream(jumps, source, count=1000, rate=0.3) == []
    assert stream(jumps, source, count=2 * BLOCK_QUESTIONS, rate=1.0)[0] == HIT_RATE


def test_a_popular_question_counts_once_however_often_it_is_asked() -> None:
    jumps = HitRateMonitor()
    assert [
        jumps.observe_lookup(text, "the one")
        for text in ["Where is my order?", "where is  my ORDER?"] * 5000
    ] == [None] * 10_000


def test_the_false_alarm_rate_of_one_answer_is_what_is_stated() -> None:
    """The count that alarms at 100 hits has a binomial tail below CHANCE,
    and the one before it has not."""
    alarming = next(
        count
        for count in range(101)
        if binomial_tail(count, 100, 0.25) < MAX_FALSE_ALARM_PROBABILITY
    )
    assert alarming == 54
    assert binomial_tail(alarming - 1, 100, 0.25) >= MAX_FALSE_ALARM_PROBABILITY
    assert binomial_tail(0, 10, 0.3) == pytest.approx(1.0)
