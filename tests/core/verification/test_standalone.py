"""Questions that need nothing of the chat, and those that only look so."""

import json
from pathlib import Path

import pytest

from proxy.core.verification.conversation import (
    ChatTurns,
    build_chat_turns,
    list_ignorable_histories,
    pack_chat,
    unpack_chat,
)
from proxy.core.verification.standalone import refers_to_history, stands_alone
from tests.core.verification.test_conversation import chat

PAIRS = Path(__file__).resolve().parents[3] / "evaluation" / "data" / "chats.jsonl"
ROWS = [json.loads(line) for line in PAIRS.read_text(encoding="utf-8").splitlines()]
BREAD = [
    "Can you give me a recipe for banana bread?",
    "Mash three bananas and bake them with flour and eggs.",
]


def alone(row: dict[str, list[str]]) -> bool:
    return (
        build_chat_turns(chat(*row["a"])).is_standalone
        and build_chat_turns(chat(*row["b"])).is_standalone
    )


@pytest.mark.parametrize(
    "row", [row for row in ROWS if not row["same"] and row["a"][-1] == row["b"][-1]], ids=str
)
def test_a_question_that_two_chats_answer_differently_stands_alone_in_one_of_them_at_most(
    row: dict[str, list[str]],
) -> None:
    assert not alone(row)


def test_of_the_questions_that_do_some_are_recognised() -> None:
    rows = [row for row in ROWS if row["group"].startswith("standalone")]
    assert sum(map(alone, rows)) / len(rows) > 0.3


@pytest.mark.parametrize(
    ("question", "told", "expected"),
    [
        ("How do I reverse a list in Python?", BREAD, True),
        ("How do I reverse a list in Python?", ["Answer in French from now on.", "Oui."], False),
        ("How do I reverse a list in Python?", ["I like Python.", "Me too."], False),
        ("How do I reverse a list in Python?", ["Hm?", "Python is nice."], False),
        ("How do I reverse it in Python?", BREAD, False),
        ("How do I reverse the list in Python?", BREAD, False),
        ("How do I reverse my list in Python?", BREAD, False),
        ("Why?", BREAD, False),
        ("Is breakfast included?", BREAD, False),
        ("Yes, reverse a list in Python", BREAD, False),
        ("And how do I reverse a list in Python?", BREAD, False),
        ("I want to reverse a list in Python.", BREAD, False),
        ("What should I feed a hungry puppy?", ["I have a cat.", "Nice."], False),
        ("What should I feed a hungry puppy?", ["What is a cat?", "An animal."], True),
        ("How do I reverse a list in Python?", ["Is it so? " * 60, "It is."], False),
    ],
)
def test_what_a_question_and_its_history_must_be_like(
    question: str, told: list[str], expected: bool
) -> None:
    assert stands_alone(question, told[:1], told[1:]) is expected
    assert build_chat_turns(chat(*told, question)).is_standalone is expected


def test_an_answer_that_takes_up_the_history_is_not_for_others() -> None:
    told, question = ["Why is my cat Minka afraid of thunder?"], "How many grams are in an ounce?"
    assert not refers_to_history("An ounce has 28.35 grams.", told, question)
    assert refers_to_history("28.35 grams, a bit of Minka's dinner.", told, question)
    assert refers_to_history("28.35 grams. Your cat should not be afraid.", told, question)
    assert refers_to_history(
        "It is 28 grams, 2 more than yours.", ["Can one mix 2 things?"], question
    )
    given = ChatTurns((*told, question), b"", is_standalone=True)
    kept = [
        unpack_chat(pack_chat(given, answer))
        for answer in ("28.35 grams.", "28.35 grams, for Minka too.")
    ]
    assert [each is not None and each.is_standalone for each in kept] == [True, False]


def test_both_questions_must_stand_alone() -> None:
    one, other = (
        ChatTurns(("a", "b"), b"", is_standalone=True),
        ChatTurns(("b",), b"", is_standalone=True),
    )
    assert list_ignorable_histories(one, other) == ["a"]
    assert list_ignorable_histories(other, other) == []
    assert list_ignorable_histories(one, ChatTurns(("b",), b"")) is None
