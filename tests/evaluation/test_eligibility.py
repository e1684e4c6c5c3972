"""Personal and time-bound questions of the committed set, by the gateway's own decision."""

import time

import pytest

from evaluation.eligibility import bypassed, questions, rates
from proxy.core.caching.eligibility import MAX_QUESTION_LENGTH


def test_nine_in_ten_personal_and_timely_questions_are_left_alone_in_both_parts() -> None:
    found = rates(questions())
    for part in ("open", "held"):
        caught, total = (
            sum(found[label, part][place] for label in ("personal", "time")) for place in (0, 1)
        )
        assert caught >= 0.9 * total


def test_ordinary_questions_that_say_my_or_today_are_compared_by_meaning() -> None:
    assert [text for text, label in questions() if label == "plain" and bypassed(text)] == []


@pytest.mark.parametrize(
    "word",
    [
        "my ",
        "is the ",
        "how many ",
        "flights late ",
        "what's on in my ",
        "1 ",
        "- ",
        "the latest ",
        "i ordered ",
    ],
)
def test_a_hostile_question_takes_no_long_time(word: str) -> None:
    begun = time.process_time()
    bypassed((word * MAX_QUESTION_LENGTH)[:MAX_QUESTION_LENGTH])
    assert time.process_time() - begun < 0.5
