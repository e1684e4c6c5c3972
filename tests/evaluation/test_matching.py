"""What decisions are compared by: the twelve numbers of a pair, and what is fitted to them."""

from pathlib import Path

import numpy as np
import pytest

from evaluation.matching.logistic import fit_logistic
from evaluation.matching.nearness import find_near_texts
from evaluation.matching.pair_features import FEATURES, compute_features
from evaluation.matching.text_readings import TextReader

STORED = "How do I return a parcel that came broken?"
SAME, TRAP = (
    "How can I return a parcel that came broken?",
    "How do I return a parcel that came late?",
)


@pytest.fixture(scope="module")
def reader(models: Path) -> TextReader:
    return TextReader(models)


def feature(reader: TextReader, name: str, asked: str, stored: str = STORED) -> float:
    readings = reader.read((asked, stored))
    return float(compute_features(readings[asked], readings[stored])[FEATURES.index(name)])


def test_a_pair_has_the_same_numbers_either_way_round(reader: TextReader) -> None:
    readings = reader.read((STORED, TRAP))
    one, other = readings[STORED], readings[TRAP]
    assert np.allclose(compute_features(one, other), compute_features(other, one))


def test_one_word_exchanged_shows_in_the_worst_word_and_token(reader: TextReader) -> None:
    assert feature(reader, "mean_cosine", TRAP) > 0.6
    assert feature(reader, "word_loss_max", TRAP) > 2 * feature(reader, "word_loss_max", SAME)
    assert feature(reader, "worst_token_min", TRAP) < feature(reader, "worst_token_min", SAME)


@pytest.mark.parametrize("text", ["", "?!", "請", "a"])
def test_a_text_of_next_to_nothing_has_numbers(reader: TextReader, text: str) -> None:
    readings = reader.read((text, STORED))
    found = compute_features(readings[text], readings[STORED])
    assert found.shape == (len(FEATURES),)
    assert np.isfinite(found).all()


def test_the_batch_a_text_is_read_in_does_not_change_it(reader: TextReader, models: Path) -> None:
    alone = TextReader(models).read([TRAP])[TRAP]
    among = TextReader(models).read([TRAP, "Where?", "What is the way to the station? " * 4])[TRAP]
    assert np.allclose(alone.tokens.vectors, among.tokens.vectors, atol=1e-4)


def test_a_teaching_text_as_good_as_a_judging_one_is_found(reader: TextReader) -> None:
    judging = ["How do I return a parcel which came broken?", "Where is the shop?"]
    assert find_near_texts([STORED, "Is it far?"], judging, reader) == [(STORED, judging[0])]


def test_a_curve_is_fitted_to_what_decides() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(4000, 3)) * [1, 5, 0.1] + [3, -2, 0]
    chance = 1 / (1 + np.exp(-(2 * (rows[:, 0] - 3) - 0.4 * (rows[:, 1] + 2))))
    fitted = fit_logistic(rows, rng.random(4000) < chance, np.ones(4000))
    assert fitted.weights == pytest.approx([2, -0.4, 0], abs=0.35)
    assert fitted.weigh(np.array([[3.0, -2.0, 0.0]])) == pytest.approx([0], abs=0.2)
