"""What the table of words says of the meaning of segments."""

import numpy as np
import pytest

from proxy.core.compression.algorithms.question_focus import closeness
from proxy.core.compression.document import Segments, by_sentence
from proxy.core.compression.memo import Memory
from proxy.core.compression.units import units
from proxy.core.text.word_vectors import Meanings
from tests.support.texts.chats import Message

LETTERS = "abcdefghijklmnopqrst"
# The table: each word a little further from the first one.
TURNS = np.linspace(0, 2, len(LETTERS))
MEANINGS = Meanings(list(LETTERS), np.stack([np.cos(TURNS), np.sin(TURNS)], axis=1))


def found(memory: Memory, question: str = "a?") -> np.ndarray:
    messages: list[Message] = [{"role": "user", "content": letter} for letter in LETTERS] + [{"role": "user", "content": question}]
    history = by_sentence(units(messages), messages, "english", memory)
    return closeness(history, Segments(history.pieces))


def test_without_a_table_nothing_is_near() -> None:
    assert not found(Memory()).any()
    assert not found(Memory(meanings=MEANINGS), " ").any()


def test_the_table_tells_by_the_cosine_from_the_middle_of_the_chat() -> None:
    rows = np.stack([np.cos(TURNS), np.sin(TURNS)], axis=1)
    rows = rows - rows.mean(axis=0)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert found(Memory(meanings=MEANINGS)) == pytest.approx(np.maximum(rows @ rows[0], 0), abs=1e-5)
