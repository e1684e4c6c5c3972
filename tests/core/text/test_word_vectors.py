"""What is kept of words changes no vector: not when it is full and begun anew,
nor when several threads embed at once."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from proxy.core.text.word_vectors import (
    MAX_KNOWN_WORDS,
    MAX_WORD_LENGTH,
    UNKNOWN_WORD_WEIGHT,
    EmbeddedWords,
    WordVectors,
)
from proxy.engines.inference.exported_models import WORD_VECTORS_FILE

TEXTS = [
    "How do I return a parcel?",
    "Where is my invoice for the second order of last month?",
    "Wie aendere ich mein Passwort?",
    "Jak zmienić hasło?",
    "\N{PILE OF POO}",
    "the the the parcel",
    "",
]


@pytest.fixture
def table(models: Path) -> WordVectors:
    return WordVectors.load(models / WORD_VECTORS_FILE)


def same(one: EmbeddedWords, other: EmbeddedWords) -> bool:
    return one.words == other.words and all(
        np.array_equal(ours, theirs) for ours, theirs in zip(one[1:], other[1:], strict=True)
    )


def texts_of_new_words(count: int, length: int = 100) -> Iterator[str]:
    """Texts of so many different words in all."""
    for first in range(0, count, length):
        yield " ".join(f"word{number}" for number in range(first, first + length))


def test_a_text_has_the_same_vectors_after_more_words_than_are_kept(table: WordVectors) -> None:
    before = [table.embed_words(text) for text in TEXTS]
    kept = [each.vectors.copy() for each in before]
    for text in texts_of_new_words(3 * MAX_KNOWN_WORDS):
        table.embed_words(text)
        assert len(table._known_words) <= MAX_KNOWN_WORDS
    for text, then, vectors in zip(TEXTS, before, kept, strict=True):
        assert same(table.embed_words(text), then)
        assert np.array_equal(then.vectors, vectors)  # nor does what was given change afterwards


def test_a_text_that_fills_the_rest_is_embedded_as_by_a_fresh_table(
    table: WordVectors, models: Path
) -> None:
    """One word too many for what is left, one that just fits, and one text of all that fit."""
    everything = " ".join(texts_of_new_words(MAX_KNOWN_WORDS + 100))
    for size in (MAX_KNOWN_WORDS - 7, 8, 7, 7, MAX_KNOWN_WORDS, 1, MAX_KNOWN_WORDS):
        text = " ".join(everything.split()[-size:])
        fresh = WordVectors.load(models / WORD_VECTORS_FILE)
        assert same(table.embed_words(text), fresh.embed_words(text)), size
    longest = table.embed_words(everything)
    assert longest.words == everything.split()[:MAX_KNOWN_WORDS]


def test_a_word_is_embedded_as_the_sum_of_its_pieces_and_one_without_any_is_unknown(
    table: WordVectors,
) -> None:
    found = table.embed_words("parcel parcels \N{SNOWMAN} x☃y " + "z" * (MAX_WORD_LENGTH + 1))
    assert np.linalg.norm(found.vectors[:2], axis=1) == pytest.approx([1.0, 1.0], abs=1e-5)
    assert found.vectors[0] @ found.vectors[1] > 0.5
    assert found.words[-1] == "z" * (MAX_WORD_LENGTH + 1)
    assert not found.vectors[-1].any()
    assert found.weights[-1] == UNKNOWN_WORD_WEIGHT
    alone = table.embed_texts(["parcel parcels"])[0]
    both = table.embed_words("parcel parcels").mean
    assert both @ alone / np.linalg.norm(alone) == pytest.approx(1.0, abs=1e-4)


def test_threads_that_embed_at_once_get_what_one_thread_gets(
    table: WordVectors, models: Path
) -> None:
    texts = [*texts_of_new_words(4 * MAX_KNOWN_WORDS, 400), *TEXTS] * 2
    alone = WordVectors.load(models / WORD_VECTORS_FILE)
    expected = [alone.embed_words(text) for text in texts]
    pause = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads take turns in the middle of everything
    try:
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(table.embed_words, texts))
    finally:
        sys.setswitchinterval(pause)
    assert all(map(same, found, expected))


def test_a_word_that_is_too_long_to_be_one_is_not_kept(table: WordVectors) -> None:
    """Others' words are kept for all tenants: single ones tell nothing, a secret might."""
    secret = "a1" * MAX_WORD_LENGTH
    found = table.embed_words(f"what is {secret}")
    assert found.words[-1] == secret
    assert not found.vectors[-1].any()
    for kept in (table._known_words, table.word_pieces):
        assert max(map(len, kept)) <= MAX_WORD_LENGTH
