"""Pairs that teach the verifier: labelled as the edit says, made alike every time,
and no label shows by the kind of edit."""

import random
from collections import Counter

import numpy as np
import pytest

from evaluation.verifier.calibrate import curve
from evaluation.verifier.harmful import HARMFUL, substitute
from evaluation.verifier.harmless import HARMLESS
from evaluation.verifier.pairs import edited, written
from proxy.core.verification.equivalence import equivalent, normalize_pair
from proxy.engines.verifiers.calibration import compute_probability

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
    one, other = normalize_pair("send 2 cards to paul", "send two cards to paula")
    assert one != other  # a name is no slip of another name
    assert equivalent(
        "What's the WEATHER in Boston?", "Hello! what is the waether in boston, please"
    )
    assert not equivalent("What's the weather in Boston?", "What was the weather in Boston?")
    assert not equivalent("please", "hello")
    assert normalize_pair("pay rent", "rent a flat") == normalize_pair("rent a flat", "pay rent")


def test_the_usual_threshold_lies_where_few_traps_are_served() -> None:
    rng = np.random.default_rng(1)
    same = rng.random(4000) < 0.5
    values = rng.normal(size=4000) + np.where(same, 2.0, -2.0)
    traps = values[~same]
    scores = compute_probability(
        values, curve(values, same, traps, of=len(traps)).astype(np.float64)
    )
    assert 0.015 < (scores[~same] >= 0.85).mean() <= 0.02
    assert (scores[same] >= 0.85).mean() > 0.4
    assert (scores[same] >= 0.9).sum() < (scores[same] >= 0.85).sum() < (scores[same] >= 0.8).sum()
