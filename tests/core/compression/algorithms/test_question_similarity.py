"""What the table of words says of the meaning of segments."""

import numpy as np
import pytest

from proxy.core.compression.algorithms.question_focus import question_similarity
from proxy.core.compression.document import Segments, split_by_sentence
from proxy.core.compression.memo import Memo
from proxy.core.compression.units import split_units
from proxy.core.text.word_vectors import WordVectors
from tests.support.texts.chats import Message

LETTERS = "abcdefghijklmnopqrst"
# The table: each word a little further from the first one.
TURNS = np.linspace(0, 2, len(LETTERS))
MEANINGS = WordVectors(list(LETTERS), np.stack([np.cos(TURNS), np.sin(TURNS)], axis=1))


def found(memory: Memo, question: str = "a?") -> np.ndarray:
    messages: list[Message] = [{"role": "user", "content": letter} for letter in LETTERS] + [
        {"role": "user", "content": question}
    ]
    history = split_by_sentence(split_units(messages), messages, "english", memory)
    return question_similarity(history, Segments(history.pieces))


def test_without_a_table_nothing_is_near() -> None:
    assert not found(Memo()).any()
    assert not found(Memo(word_vectors=MEANINGS), " ").any()


def test_the_table_tells_by_the_cosine_from_the_middle_of_the_chat() -> None:
    rows = np.stack([np.cos(TURNS), np.sin(TURNS)], axis=1)
    rows = rows - rows.mean(axis=0)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert found(Memo(word_vectors=MEANINGS)) == pytest.approx(
        np.maximum(rows @ rows[0], 0), abs=1e-5
    )
