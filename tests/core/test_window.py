"""What of a chat is embedded, and what an entry keeps of it."""

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.ports import Vector
from proxy.core.verify.chat import chat_of
from proxy.core.window import Window, fits, objection, pack, text_of_window
from tests.core.test_verify_chat import BOOKING, chat


def unit(*numbers: float) -> Vector:
    vector = np.array(numbers, dtype=np.float32)
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def window(*texts: str, vector: Vector | None = None) -> Window:
    return Window(chat_of(chat(*texts)), unit(1, 0) if vector is None else vector)


def test_what_is_kept_answers_the_same_chat() -> None:
    assert objection(window(*BOOKING), pack(window(*BOOKING)), similarity=1.0, least=0.99) is None


def test_windows_and_questions_must_both_be_near() -> None:
    stored = pack(window(*BOOKING, vector=unit(1, 1)))
    assert objection(window(*BOOKING), stored, similarity=1.0, least=0.85) == "question-similarity"
    assert objection(window(*BOOKING), stored, similarity=1.0, least=0.70) is None
    assert objection(window(*BOOKING), stored, similarity=0.84, least=0.70) == "history"


def test_a_question_alone_needs_no_more_than_its_threshold() -> None:
    assert objection(window("How do I pay?"), pack(window("How can I pay?")), similarity=0.75, least=0.70) is None


@given(st.binary(max_size=120))
def test_other_bytes_are_foreign(stored: bytes) -> None:
    assert objection(window(*BOOKING), stored, similarity=1.0, least=0.0) == "foreign"


@pytest.mark.parametrize(
    "fields", [[], [[], b"", b""], [["a"], "b", bytes(4)], [[1], b"", bytes(4)], [["a"], b"", bytes(3)], [["a"], b"", bytes(6)], {"a": 1}]
)
def test_so_are_windows_of_another_make(fields: object) -> None:
    assert objection(window("a"), msgpack.packb(fields), similarity=1.0, least=0.0) == "foreign"


def test_as_many_turns_are_embedded_as_asked_for_and_as_there_is_room_for() -> None:
    said = chat_of(chat("I have a cat.", "Oh.", "It is red.", "Oh.", "What does it eat?"))
    assert text_of_window(said, 1) == "It is red.\nWhat does it eat?"
    assert text_of_window(said, 9) == "I have a cat.\nIt is red.\nWhat does it eat?"
    long = chat_of(chat("I have a cat. " * 30, "Oh.", "It is red. " * 10, "Oh.", "What does it eat?"))
    assert text_of_window(long, 9) == "It is red. " * 9 + "It is red.\nWhat does it eat?"


def test_a_very_long_chat_is_not_kept() -> None:
    assert fits(chat("x" * 4000, "y" * 12_000, "z"))
    assert not fits(chat("x" * 4100, "y", "z"))
    assert not fits(chat("x", "y" * 17_000, "z"))
