"""What of a chat is embedded, and what an entry keeps of it."""

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.ports import Vector
from proxy.core.verify.chat import chat_of
from proxy.core.window import Window, fits, objection, pack, text_of_window, unpack
from tests.core.test_verify_chat import BOOKING, chat


def unit(*numbers: float) -> Vector:
    vector = np.array(numbers, dtype=np.float32)
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def window(*texts: str, vector: Vector | None = None) -> Window:
    return Window(chat_of(chat(*texts)), unit(1, 0) if vector is None else vector)


def kept(given: Window) -> Window:
    found = unpack(pack(given), 2)
    assert found is not None
    return found


def test_what_is_kept_answers_the_same_chat() -> None:
    stored = kept(window(*BOOKING))
    assert objection(window(*BOOKING), stored, similarity=1.0) is None
    assert float(stored.question @ window(*BOOKING).question) == pytest.approx(1.0, abs=1e-3)


def test_windows_must_be_near_where_there_is_a_history() -> None:
    stored = kept(window(*BOOKING))
    assert objection(window(*BOOKING), stored, similarity=0.86) is None
    assert objection(window(*BOOKING), stored, similarity=0.84) == "history"
    assert objection(window("How do I pay?"), kept(window("How can I pay?")), similarity=0.75) is None


@given(st.binary(max_size=120))
def test_other_bytes_are_no_window(stored: bytes) -> None:
    assert unpack(stored, 2) is None


@pytest.mark.parametrize(
    "fields", [[], [[], b"", b""], [["a"], "b", bytes(4)], [[1], b"", bytes(4)], [["a"], b"", bytes(3)], [["a"], b"", bytes(6)], {"a": 1}]
)
def test_nor_is_one_of_another_make(fields: object) -> None:
    assert unpack(msgpack.packb(fields), 2) is None


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
