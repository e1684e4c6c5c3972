"""A semantic tier gone mad is seen; ordinary popular questions are not taken for it."""

import random

import pytest

from proxy.core.quality.anomaly import BLOCK, CHANCE, HIT_RATE, ONE_ANSWER, Jumps, at_least

QUESTIONS = 4000


def stream(jumps: Jumps, source: random.Random, *, count: int, rate: float, exponent: float = 1.0, answers: int = 77) -> list[str]:
    """Alarms of so many new questions, a share of which hits answers of Zipf's popularity."""
    weights = [1 / (rank + 1) ** exponent for rank in range(answers)]
    alarms = []
    for _ in range(count):
        served = f"answer {source.choices(range(answers), weights)[0]}" if source.random() < rate else ""
        if alarm := jumps.note(f"question {source.random()}", served):
            alarms.append(alarm[0])
    return alarms


@pytest.mark.parametrize("exponent", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_a_steady_stream_gives_no_alarm(rate: float, exponent: float) -> None:
    assert stream(Jumps(), random.Random(1), count=QUESTIONS, rate=rate, exponent=exponent) == []


def test_a_cache_that_fills_up_gives_no_alarm() -> None:
    jumps, source = Jumps(), random.Random(2)
    assert [alarm for step in range(40) for alarm in stream(jumps, source, count=50, rate=0.7 * min(1, step / 15))] == []


def test_everything_that_gets_one_answer_is_seen_within_a_block_or_two() -> None:
    jumps, source = Jumps(), random.Random(3)
    assert stream(jumps, source, count=1000, rate=0.5) == []
    assert stream(jumps, source, count=2 * BLOCK, rate=1.0, answers=1)[0] == ONE_ANSWER


def test_one_answer_is_seen_without_any_history() -> None:
    assert stream(Jumps(), random.Random(4), count=BLOCK, rate=0.9, answers=1) == [ONE_ANSWER]


def test_a_jump_of_the_hit_rate_is_seen() -> None:
    jumps, source = Jumps(), random.Random(5)
    assert stream(jumps, source, count=1000, rate=0.3) == []
    assert stream(jumps, source, count=2 * BLOCK, rate=1.0)[0] == HIT_RATE


def test_a_popular_question_counts_once_however_often_it_is_asked() -> None:
    jumps = Jumps()
    assert [jumps.note(text, "the one") for text in ["Where is my order?", "where is  my ORDER?"] * 5000] == [None] * 10_000


def test_the_false_alarm_rate_of_one_answer_is_what_is_stated() -> None:
    """The count that alarms at 100 hits has a binomial tail below CHANCE, and the one before it has not."""
    alarming = next(count for count in range(101) if at_least(count, 100, 0.25) < CHANCE)
    assert alarming == 54
    assert at_least(alarming - 1, 100, 0.25) >= CHANCE
    assert at_least(0, 10, 0.3) == pytest.approx(1.0)
