"""What decisions are compared by: the four numbers of a pair, and what is fitted to them."""

import random
from pathlib import Path

import numpy as np
import pytest

from evaluation.matching.logistic import fit_logistic
from evaluation.matching.nearness import find_near_texts
from evaluation.matching.neighbours import pair_neighbours
from evaluation.matching.readings import PairReader
from proxy.core.verification.pair_features import FEATURES

STORED = "How do I return a parcel that came broken?"
SAME, TRAP = (
    "How can I return a parcel that came broken?",
    "How do I return a parcel that came late?",
)


@pytest.fixture(scope="module")
def reader(models: Path) -> PairReader:
    return PairReader(models)


def feature(reader: PairReader, name: str, asked: str) -> float:
    return float(reader.compute_features(asked, STORED)[FEATURES.index(name)])


def test_a_pair_has_the_same_numbers_either_way_round(reader: PairReader) -> None:
    one, other = reader.compute_features(STORED, TRAP), reader.compute_features(TRAP, STORED)
    assert one.tolist() == pytest.approx(other.tolist())


def test_one_word_exchanged_shows_in_the_worst_word_and_token(reader: PairReader) -> None:
    assert feature(reader, "mean_cosine", TRAP) > 0.6
    assert feature(reader, "word_loss_max", TRAP) > 2 * feature(reader, "word_loss_max", SAME)
    assert feature(reader, "worst_token_min", TRAP) < feature(reader, "worst_token_min", SAME)


def test_a_weight_of_the_wrong_sign_is_none() -> None:
    rows = np.arange(100.0).reshape(-1, 1)
    labels, even = rows[:, 0] > 50, np.ones(100)
    assert fit_logistic(rows, labels, even, signs=[-1]).weights == pytest.approx([0])
    assert fit_logistic(rows, labels, even, signs=[1]).weights[0] > 0


@pytest.mark.parametrize("text", ["", "?!", "\u8acb", "a", "\ud800", "x " * 5000])
def test_a_text_of_next_to_nothing_and_a_long_one_have_numbers(
    reader: PairReader, text: str
) -> None:
    found = reader.compute_features(text.encode("utf-8", "replace").decode(), STORED)
    assert found.shape == (len(FEATURES),)
    assert np.isfinite(found).all()


def test_a_teaching_text_as_good_as_a_judging_one_is_found(reader: PairReader) -> None:
    judging = ["How do I return a parcel which came broken?", "Where is the shop?"]
    assert find_near_texts([STORED, "Is it far?"], judging, reader) == [(STORED, judging[0])]


def test_a_curve_is_fitted_to_what_decides() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(4000, 3)) * [1, 5, 0.1] + [3, -2, 0]
    chance = 1 / (1 + np.exp(-(2 * (rows[:, 0] - 3) - 0.4 * (rows[:, 1] + 2))))
    fitted = fit_logistic(rows, rng.random(4000) < chance, np.ones(4000), signs=[1, 0, 1])
    assert fitted.weights == pytest.approx([2, -0.4, 0], abs=0.35)
    assert fitted.weigh(np.array([[3.0, -2.0, 0.0]])) == pytest.approx([0], abs=0.2)


def test_neighbours_are_of_one_intent_or_the_nearest_of_another(reader: PairReader) -> None:
    intents = {
        "cost": ["what does the blue lamp cost", "how much is the blue lamp"],
        "size": ["what size is the blue lamp"],
        "visa": ["do i need a visa for japan"],
    }
    made = pair_neighbours(intents, reader.stack_means, random.Random(1), count=40)
    by_text = {text: intent for intent, texts in intents.items() for text in texts}
    assert {pair.same for pair in made} == {True, False}
    assert all(pair.same == (by_text[pair.a] == by_text[pair.b]) for pair in made)
    assert not any("visa" in pair.a + pair.b for pair in made)  # nothing is near it
    assert made == pair_neighbours(intents, reader.stack_means, random.Random(1), count=40)
