"""What of a chat is embedded, and what an entry keeps of it."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.verification.conversation import (
    HISTORY_MARKER,
    ChatTurns,
    are_windows_alike,
    build_chat_turns,
    is_comparable,
    pack_chat,
    select_embedded_text,
    unpack_chat,
    unpack_chat_reading,
    veto_history,
)
from tests.core.verification.test_conversation import BOOKING, chat


def window(*texts: str) -> ChatTurns:
    return build_chat_turns(chat(*texts))


def kept(given: ChatTurns) -> ChatTurns:
    found = unpack_chat(pack_chat(given, ""))
    assert found is not None
    return found


def test_what_is_kept_answers_the_same_chat() -> None:
    stored = kept(window(*BOOKING))
    assert veto_history(window(*BOOKING), stored) is None
    assert stored == window(*BOOKING)


def test_windows_must_be_near_where_there_is_a_history() -> None:
    assert are_windows_alike(0.86)
    assert not are_windows_alike(0.84)


def test_what_a_former_version_kept_is_read_and_has_no_reading() -> None:
    said = window(*BOOKING)
    former = msgpack.packb([said.user_turns, said.replies_digest, False, True])
    assert unpack_chat(former) == said
    assert unpack_chat_reading(former) is None
    assert unpack_chat_reading(HISTORY_MARKER) is None


@given(st.binary(max_size=120))
def test_other_bytes_are_no_window(stored: bytes) -> None:
    assert unpack_chat(stored) is None
    assert unpack_chat_reading(stored) is None


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [[], b"", True, True],
        [["a"], "b", True, True],
        [[1], b"", True, True],
        [["a"], b"", True],
        [["a"], b"", True, 1],
        {"a": 1},
    ],
)
def test_nor_is_one_of_another_make(fields: object) -> None:
    assert unpack_chat(msgpack.packb(fields)) is None


def test_as_many_turns_are_embedded_as_asked_for_and_as_there_is_room_for() -> None:
    said = build_chat_turns(chat("I have a cat.", "Oh.", "It is red.", "Oh.", "What does it eat?"))
    assert select_embedded_text(said, 1) == "It is red.\nWhat does it eat?"
    assert select_embedded_text(said, 9) == "I have a cat.\nIt is red.\nWhat does it eat?"
    long = build_chat_turns(
        chat("I have a cat. " * 30, "Oh.", "It is red. " * 10, "Oh.", "What does it eat?")
    )
    assert select_embedded_text(long, 9) == "It is red. " * 9 + "It is red.\nWhat does it eat?"


def test_a_very_long_chat_is_not_kept() -> None:
    assert is_comparable(chat("x" * 4000, "y" * 12_000, "z"))
    assert not is_comparable(chat("x" * 4100, "y", "z"))
    assert not is_comparable(chat("x", "y" * 17_000, "z"))
