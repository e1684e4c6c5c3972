"""What is kept of a chat to compare it with others."""

from collections.abc import Sequence

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.verification.chat_reading import (
    ANSWERS,
    FORMAL,
    MAX_SENTENCES,
    REPLY,
    ChatReading,
    Vectors,
    pack_reading,
    read_chat,
    unpack_reading,
)
from tests.core.verification.test_conversation import BOOKING, chat

DIMENSION = 16


def embed(texts: Sequence[str]) -> Vectors:
    """A text is the sum of directions of its words, the same in each test."""
    rows = np.zeros((len(texts), DIMENSION), dtype=np.float32)
    for place, text in enumerate(texts):
        for word in text.lower().split():
            letters = word.strip(".,?!'").encode()
            rng = np.random.default_rng(sum(letters) + 7 * len(letters))
            rows[place] += rng.normal(size=DIMENSION)
    return rows


def read(*texts: str) -> ChatReading:
    found = read_chat(chat(*texts), embed)
    assert found is not None
    return found


def test_a_chat_is_its_sentences_without_small_talk_and_its_question() -> None:
    found = read("Hello! I have a cat. It is 4.5 years old.", "Great, thanks!", "What does it eat?")
    assert len(found.sentences) == 2
    assert found.vectors.shape == (3, DIMENSION)
    assert np.linalg.norm(found.vectors, axis=1) == pytest.approx(1.0)


def test_a_message_with_signs_is_kept_whole() -> None:
    found = read("I indent like\nif x:\n    a()\nb()", "I see.", "Is that right?")
    assert [bool(each.flags & FORMAL) for each in found.sentences] == [True, False]


def test_the_way_through_a_menu_is_prose() -> None:
    found = read("Where is it?", "It is under Settings > Privacy. Look there.", "And then?")
    assert [each.is_reply for each in found.sentences] == [False, True, True]
    assert not any(each.flags & FORMAL for each in found.sentences)


def test_what_answers_a_question_is_kept_even_if_it_is_small_talk_elsewhere() -> None:
    found = read("I need a cab.", "Shall I book it?", "great", "Done.", "When does it come?")
    assert [each.flags & (REPLY | ANSWERS) for each in found.sentences] == [
        0,
        REPLY,
        ANSWERS,
        REPLY,
    ]


def test_a_chat_of_too_many_sentences_is_not_read() -> None:
    assert read_chat(chat("I have a cat. " * (MAX_SENTENCES + 1), "Oh.", "And now?"), embed) is None


def test_a_packed_reading_is_nearly_the_same() -> None:
    given = read(*BOOKING)
    found = unpack_reading(pack_reading(given))
    assert found is not None
    assert [(s.flags, s.turn, s.digest, s.words, s.kinds) for s in found.sentences] == [
        (s.flags, s.turn, s.digest, s.words, s.kinds) for s in given.sentences
    ]
    assert (found.vectors * given.vectors).sum(axis=1) == pytest.approx(1.0, abs=0.01)


def test_a_packed_reading_holds_no_text() -> None:
    packed = pack_reading(read(*BOOKING))
    assert not any(word in packed for word in (b"Concord", b"concord", b"Friday", b"friday"))


@given(st.binary(max_size=120))
def test_other_bytes_are_no_reading(packed: bytes) -> None:
    assert unpack_reading(packed) is None


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [[], 2, b"", []],
        [[[0, 0, 0, b"", b""]], 2, b"a", []],
        [[[0, 0, 0, b"abcd", b""]], 1, b"a", []],
        [[[0, 0, "x", b"", b""]], 1, b"a", []],
        [[[0, 0]], 1, b"a", []],
        [[[0, 0, 0, b"", b""]], "1", b"a", []],
        {"a": 1},
    ],
)
def test_nor_is_one_of_another_make(fields: object) -> None:
    assert unpack_reading(msgpack.packb(fields)) is None
