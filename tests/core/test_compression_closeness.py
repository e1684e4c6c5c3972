"""What the table says of all segments and the model of a few, on one scale."""

import numpy as np
import pytest

from proxy.core.compression.closeness import OPENING, closeness
from proxy.core.compression.history import by_sentence
from proxy.core.compression.meanings import Meanings
from proxy.core.compression.memory import Memory, Model
from proxy.core.compression.segments import Segments
from proxy.core.compression.turns import units
from tests.core.chats import Message

LETTERS = "abcdefghijklmnopqrst"
# The table: each word a little further from the first one.
TURNS = np.linspace(0, 2, len(LETTERS))
MEANINGS = Meanings(list(LETTERS), np.stack([np.cos(TURNS), np.sin(TURNS)], axis=1))


class Listening:
    """A model to which every text is as near to the question as its place in `near` says, and that knows what it was asked."""

    def __init__(self, near: dict[str, float]) -> None:
        self.near = near
        self.asked: list[str] = []

    def __call__(self, texts: list[str]) -> list[bytes]:
        self.asked += texts
        angles = np.arccos([self.near.get(text, 1.0) for text in texts])
        return [np.array([np.cos(angle), np.sin(angle)], dtype=np.float32).tobytes() for angle in angles]


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


def test_the_model_reads_the_nearest_and_what_it_says_counts() -> None:
    model = Listening(dict.fromkeys(LETTERS, 0.25) | {"c": 0.75})
    near = found(Memory(10_000, meanings=MEANINGS, model=Model("fake", model, 10 * (1 + OPENING))))
    assert set(model.asked) == {"a?", *LETTERS[:10]}
    assert near[2] == pytest.approx(0.75)
    assert near[9] == pytest.approx(0.25)


def test_what_the_model_has_not_read_is_put_on_its_scale() -> None:
    flat = Listening(dict.fromkeys(LETTERS, 0.4))
    near = found(Memory(10_000, meanings=MEANINGS, model=Model("fake", flat, 10 * (1 + OPENING))))
    assert near[10:] == pytest.approx(0.4)


def test_a_model_that_may_read_little_changes_nothing() -> None:
    model = Listening({})
    by_table = found(Memory(meanings=MEANINGS))
    assert found(Memory(10_000, meanings=MEANINGS, model=Model("fake", model, 3 * (1 + OPENING)))) == pytest.approx(by_table)
    assert not model.asked


def test_no_text_is_read_twice_and_the_next_question_reads_no_more_than_itself() -> None:
    model = Listening(dict.fromkeys(LETTERS, 0.5))
    memory = Memory(100_000, meanings=MEANINGS, model=Model("fake", model, 10 * (1 + OPENING)))
    found(memory)
    first = len(model.asked)
    found(memory)
    assert len(model.asked) == first == len(set(model.asked))
    found(memory, "t?")
    assert model.asked[first:] == ["t?"]
