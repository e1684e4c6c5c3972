"""The numbers of a pair, on words and tokens whose cosines are known."""

import numpy as np
import pytest

from proxy.core.text.word_vectors import normalize_rows
from proxy.core.verification.pair_features import (
    FEATURES,
    TokenReading,
    WordReading,
    compute_features,
    measure_word_loss,
)

CAR, AUTO, PAY = (1.0, 0.0, 0.0), (0.8, 0.6, 0.0), (0.0, 0.0, 1.0)
MEAN = np.array([1, 0, 0], dtype=np.float32)


def rows(*vectors: tuple[float, ...]) -> np.ndarray:
    return np.array(vectors, dtype=np.float32).reshape(-1, 3)


def words(*vectors: tuple[float, ...], weights: tuple[float, ...] = ()) -> WordReading:
    found = rows(*vectors)
    mean = normalize_rows(found.sum(axis=0, keepdims=True))[0]
    return WordReading(found, np.array(weights or [1.0] * len(vectors), np.float32), mean)


def tokens(*vectors: tuple[float, ...]) -> TokenReading:
    return TokenReading(rows(*vectors), MEAN, is_whole=True)


def test_a_word_loses_what_the_most_similar_one_lacks_times_how_rare_it_is() -> None:
    assert measure_word_loss(words(CAR), words(CAR, AUTO)) == pytest.approx(0.2)
    assert measure_word_loss(words(CAR), words(AUTO, PAY, weights=(1, 0.1))) == pytest.approx(0.2)
    assert measure_word_loss(words(CAR), words(AUTO, PAY, weights=(1, 0.5))) == pytest.approx(0.5)


def test_the_worst_token_of_each_text_shows() -> None:
    found = compute_features(
        (words(CAR), tokens(CAR, PAY)), (words(CAR), tokens(AUTO)), ["capitals"]
    )
    assert dict(zip(FEATURES, found.tolist(), strict=True)) == pytest.approx(
        {
            "word_loss_max": 0,
            "mean_cosine": 1,
            "worst_token_min": 0,
            "worst_token_max": 0.8,
            "capitals": 1,
            "replaced": 0,
        }
    )


def test_both_ways_round_are_the_same() -> None:
    one, other = (words(CAR, PAY), tokens(CAR, PAY)), (words(AUTO), tokens(AUTO, CAR))
    assert compute_features(one, other, ()).tolist() == compute_features(other, one, ()).tolist()


def test_the_same_text_agrees_wholly_and_no_text_with_none() -> None:
    one, none = (words(CAR, PAY), tokens(CAR, PAY)), (words(), tokens())
    assert compute_features(one, one, ()).tolist() == pytest.approx([0, 1, 1, 1, 0, 0])
    assert compute_features(one, none, ()).tolist() == [1, 0, 0, 0, 0, 0]
    assert compute_features(none, none, ()).tolist() == [1, 0, 0, 0, 0, 0]


def test_without_content_words_the_rarest_word_of_the_other_is_lost() -> None:
    assert measure_word_loss(words(), words(CAR, PAY, weights=(0.3, 0.7))) == pytest.approx(0.7)
    assert measure_word_loss(words(), words()) == 0.0
