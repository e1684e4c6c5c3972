"""How much of the old part goes along with a question."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.compression.compress import compress
from proxy.core.compression.layout import participation_ratio
from tests.support.texts.chats import MODEL, Message, plan

THINGS = [
    "invoice",
    "courier",
    "kitchen",
    "garden",
    "printer",
    "passport",
    "bicycle",
    "contract",
    "ticket",
    "password",
]


def chat(question: str) -> list[Message]:
    """400 messages, each about one thing."""
    dice = random.Random(4)
    messages: list[Message] = [
        {
            "role": ("user", "assistant")[n % 2],
            "content": (
                f"Then the {THINGS[n // 40]} came up, number {n} of {dice.randrange(999)} in all"
            ),
        }
        for n in range(400)
    ]
    return [*messages, {"role": "user", "content": question}]


def recalled(question: str) -> int:
    return compress(
        chat(question), plan("text_rank", 2048, focus="question"), model=MODEL
    ).retrieved_tokens


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([1.0] * 8, 1.0),
        ([3.0, 0, 0, 0], 0.25),
        ([2.0, 2.0, 0, -5.0], 0.5),
        ([0.0, 0.0], 1.0),
        ([], 1.0),
    ],
)
def test_flatness_is_the_participation_ratio(scores: list[float], expected: float) -> None:
    assert participation_ratio(scores) == pytest.approx(expected)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(1e-3, 1e3))
def test_flatness_is_a_share_whatever_the_unit(scores: list[float], unit: float) -> None:
    assert 0 < participation_ratio(scores) <= 1 + 1e-9
    assert participation_ratio([score * unit for score in scores]) == pytest.approx(
        participation_ratio(scores), rel=1e-6
    )


def test_a_question_about_one_thing_gets_more_than_a_message_about_everything() -> None:
    everything = f"We have seen the {', the '.join(THINGS)}"
    assert recalled(everything) < 0.8 * recalled(
        "What about the courier, the kitchen and the garden?"
    )


def test_a_message_that_asks_for_nothing_gets_nothing() -> None:
    assert recalled("Well, thanks!") == 0
