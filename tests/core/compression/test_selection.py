"""What fits of some pieces."""

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.compression.document import Pieces, split_by_sentence
from proxy.core.compression.memo import Memo
from proxy.core.compression.selection import (
    MAX_MARK_TOKENS,
    MAX_SPEAKER_TOKENS,
    Selection,
    select_pieces,
)
from proxy.core.compression.transcript import TranscriptWriter
from proxy.core.compression.units import split_units
from proxy.core.tokens import count_text
from tests.support.texts.chats import CHATS, Message

ENCODING = "o200k_base"
SCORES = st.sampled_from([0.0, 0.5, 1.0, float("-inf")])


def chosen(
    messages: list[Message], scores: list[float], room: int, least: int = 1
) -> tuple[Pieces, Selection]:
    """The history of a chat without its end, each of its pieces scored,
    and what is chosen of it."""
    chat = split_units([*messages, {"role": "user", "content": "?"}])[:-1]
    pieces = split_by_sentence(chat, messages, "english", Memo()).pieces
    cycled = [scores[index % len(scores)] for index in range(len(pieces))]
    return pieces, select_pieces(
        pieces, cycled, room, TranscriptWriter(pieces, chat, messages), ENCODING, least=least
    )


@settings(max_examples=300, deadline=None)
@given(CHATS, st.lists(SCORES, min_size=1, max_size=7), st.integers(1, 120), st.integers(-1, 5))
def test_what_is_chosen_fits_is_wanted_and_is_as_many_as_promised(
    messages: list[Message], scores: list[float], room: int, least: int
) -> None:
    pieces, found = chosen(messages, scores, room, least)
    assert found.tokens == count_text(found.text, ENCODING) <= room
    assert list(found.pieces) == sorted(set(found.pieces))
    assert all(scores[index % len(scores)] > float("-inf") for index in found.pieces)
    texts = [pieces[index].text for index in found.pieces]
    assert len(texts) == len(set(texts))
    wanted = {
        pieces[index].text
        for index in range(len(pieces))
        if scores[index % len(scores)] > float("-inf")
    }
    shortest = sorted(wanted, key=len)[: max(least, 0)]
    quoted = TranscriptWriter(
        pieces, split_units([*messages, {"role": "user", "content": "?"}])[:-1], messages
    ).quote_line
    needed = sum(
        MAX_SPEAKER_TOKENS + MAX_MARK_TOKENS + count_text(f" {quoted(text)}", ENCODING)
        for text in shortest
    )  # as it would stand there
    assert needed > room or any("\n" in text for text in shortest) or len(texts) >= len(shortest)


def test_several_short_sentences_are_preferred_to_one_long_where_a_plan_asks_for_several() -> None:
    long = "refund order late parcel price " * 12 + "."
    messages = [{"role": "assistant", "content": f"{long} Refund paid. Order sent. Parcel late."}]
    room = count_text(f"Assistant: {long}\n…", ENCODING) + MAX_MARK_TOKENS + MAX_SPEAKER_TOKENS
    _, one = chosen(messages, [1.0, 0.5, 0.5, 0.5], room)
    _, three = chosen(messages, [1.0, 0.5, 0.5, 0.5], room, least=3)
    assert one.text == f"Assistant: {long}\n…"
    assert three.text == "…\nAssistant: Refund paid. Order sent. Parcel late."


def test_what_was_left_out_is_marked_on_its_line_or_on_one_of_its_own() -> None:
    messages = [
        {"role": "user", "content": "One came. Two came. Three came.\nFour came.\nFive came."},
        {"role": "assistant", "content": "Ok."},
    ]
    _, found = chosen(messages, [1.0, float("-inf"), 1.0, float("-inf"), 1.0, float("-inf")], 60)
    assert found.text == "User: One came. … Three came.\n…\nFive came.\n…"


def test_equal_sentences_count_once_towards_the_promise() -> None:
    messages = [
        {
            "role": "user",
            "content": "Late. Late. Late. The whole parcel was lost. "
            + "It took a long time. " * 3,
        }
    ]
    _, found = chosen(messages, [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0], 25, least=3)
    assert (
        found.text.count("Late.")
        == found.text.count("The whole parcel was lost.")
        == found.text.count("It took a long time.")
        == 1
    )


def test_lines_that_must_be_quoted_do_not_break_the_budget() -> None:
    block = "- list\n" + "- user: yes\n" * 60
    for room in range(60, 400, 20):
        _, found = chosen(
            [{"role": "user", "content": f"{block}\n\nShort one. And more."}], [1.0, 0.5, 0.5], room
        )
        assert found.tokens <= room
        assert found.pieces
