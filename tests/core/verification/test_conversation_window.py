"""What of a chat is embedded, and what an entry keeps of it."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.verification.conversation import Chat, chat_of, fits, objection, pack, text_of_window, unpack
from tests.core.verification.test_conversation import BOOKING, chat


def window(*texts: str) -> Chat:
    return chat_of(chat(*texts))


def kept(given: Chat) -> Chat:
    found = unpack(pack(given, ""))
    assert found is not None
    return found


def test_what_is_kept_answers_the_same_chat() -> None:
    stored = kept(window(*BOOKING))
    assert objection(window(*BOOKING), stored, similarity=1.0) is None
    assert stored == window(*BOOKING)


def test_windows_must_be_near_where_there_is_a_history() -> None:
    stored = kept(window(*BOOKING))
    assert objection(window(*BOOKING), stored, similarity=0.86) is None
    assert objection(window(*BOOKING), stored, similarity=0.84) == "history"
    assert objection(window("How do I pay?"), kept(window("How can I pay?")), similarity=0.75) is None


@given(st.binary(max_size=120))
def test_other_bytes_are_no_window(stored: bytes) -> None:
    assert unpack(stored) is None


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [[], b"", True, True],
        [["a"], "b", True, True],
        [[1], b"", True, True],
        [["a"], b"", True],
        [["a"], b"", True, 1],
        [["a"], b"", True, True, 1],
        {"a": 1},
    ],
)
def test_nor_is_one_of_another_make(fields: object) -> None:
    assert unpack(msgpack.packb(fields)) is None


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
