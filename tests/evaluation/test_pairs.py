"""Pairs that teach the verifier: labelled as the edit says, made alike every time,
and no label shows by the kind of edit."""

import random
from collections import Counter

import pytest

from evaluation.verifier.harmful import HARMFUL, substitute
from evaluation.verifier.harmless import HARMLESS
from evaluation.verifier.pairs import edited, written
from proxy.core.verification.equivalence import equivalent

TEXTS = [
    "how do i transfer 20 dollars from savings to checking",
    "what's the weather in Boston on friday",
    "cancel my booking for two people please",
    "is there a fee for the first exchange of currency",
    "tell me what time the last train to london leaves before noon",
    "add Paul to my meeting at 5",
]


@pytest.mark.parametrize("name", [*HARMFUL, *HARMLESS])
def test_every_edit_changes_some_question_and_leaves_none_empty(name: str) -> None:
    rng = random.Random(1)
    edit = (HARMFUL | HARMLESS)[name]
    made = [
        (text, other)
        for text in TEXTS
        for _ in range(20)
        if (other := edit(text, rng)) is not None and other != text
    ]
    assert made
    assert all(other.strip() for _, other in made)


def test_a_direction_is_turned_and_a_number_is_another_number() -> None:
    rng = random.Random(1)
    assert HARMFUL["direction"]("fly from rome to oslo", rng) == "fly from oslo to rome"
    other = HARMFUL["number"]("roll 6 dice", rng)
    assert other is not None
    assert other != "roll 6 dice"
    assert substitute("pay my rent", rng, ["feed the parrot"]) in ("pay my feed", "pay my parrot")


def test_pairs_are_the_same_for_the_same_seed_and_both_labels_are_edited() -> None:
    one, again = (
        edited(TEXTS, 300, random.Random(7)) + written(200, random.Random(7)) for _ in range(2)
    )
    assert one == again
    assert one != edited(TEXTS, 300, random.Random(8)) + written(200, random.Random(8))
    labels = Counter(pair.same for pair in one)
    assert min(labels.values()) > 150
    assert all(pair.a != pair.b for pair in one)


def test_what_reads_the_same_is_one_text() -> None:
    # A name is no slip of another name.
    assert not equivalent("send 2 cards to paul", "send two cards to paula")
    assert equivalent(
        "What's the WEATHER in Boston?", "Hello! what is the waether in boston, please"
    )
    assert not equivalent("What's the weather in Boston?", "What was the weather in Boston?")
    assert not equivalent("please", "hello")
