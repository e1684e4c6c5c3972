"""Two chats: turn by turn, what both name, and what counts for nothing."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.core.verification.conversation import build_chat_turns, veto_chat
from proxy.core.verification.small_talk import (
    is_small_talk,
    strip_reply_small_talk,
    strip_small_talk,
)

BOOKING = [
    "I need a cab for 3 persons from Concord to Oakland.",
    "Sure. When shall it come?",
    "On Friday at 5 pm, we are not in a hurry.",
    "It costs $40.",
    "How do I pay for it?",
]


def chat(*texts: str) -> list[dict[str, Any]]:
    """Messages of user and assistant in turn."""
    return [
        {"role": ("user", "assistant")[place % 2], "content": text}
        for place, text in enumerate(texts)
    ]


def verdict(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> str | None:
    there, back = (
        veto_chat(build_chat_turns(ours), build_chat_turns(theirs)),
        veto_chat(build_chat_turns(theirs), build_chat_turns(ours)),
    )
    assert (there is None) == (back is None)
    return there


def test_the_same_chat_in_other_words_of_the_user_is_the_same() -> None:
    reworded = [
        "Please, can I get a cab for three persons, from Concord to Oakland?",
        *BOOKING[1:4],
        "How can I pay for it?",
    ]
    assert verdict(chat(*BOOKING), chat(*reworded)) is None


@pytest.mark.parametrize(
    "talk",
    [
        ["Hi there, how are you?", "I'm doing well, thanks for asking. How can I help you today?"],
        [
            "Thanks for the help last time, that worked great.",
            "Glad to hear it! What can I do for you today?",
        ],
        ["Good morning!", "Hello! How may I help?"],
    ],
)
def test_small_talk_counts_for_nothing(talk: list[str]) -> None:
    assert verdict(chat(*BOOKING), chat(*talk, *BOOKING)) is None
    assert (
        verdict(
            chat(*BOOKING),
            chat(*BOOKING[:2], "Hello! " + BOOKING[2], "It costs $40. Happy to help!", BOOKING[4]),
        )
        is None
    )


@pytest.mark.parametrize(
    ("place", "old", "new"),
    [
        (0, "3 persons", "4 persons"),
        (0, "Concord", "Fremont"),
        (0, "from Concord to Oakland", "from Oakland to Concord"),
        (0, "a cab", "a bus"),
        (2, "Friday", "Sunday"),
        (2, "5 pm", "5 am"),
        (2, "are not in", "are in"),
        (3, "$40", "€40"),
        (4, "pay", "not pay"),
    ],
)
@pytest.mark.parametrize("greeted", [False, True])
def test_a_detail_changed_anywhere_is_another_chat(
    place: int, old: str, new: str, greeted: bool
) -> None:
    changed = [*BOOKING]
    changed[place] = changed[place].replace(old, new)
    assert changed != BOOKING
    head = ["Hello, how are you?", "Fine, thanks! How can I help?"] if greeted else []
    assert verdict(chat(*BOOKING), chat(*head, *changed)) is not None


@given(
    before=st.integers(0, 6),
    after=st.integers(0, 6),
    pair=st.sampled_from(
        [
            ("Paris", "Rome"),
            ("12", "21"),
            ("Monday", "Tuesday"),
            ("$15", "$50"),
            ("Anna", "Boris"),
            ("enable", "disable"),
        ]
    ),
    detail=st.sampled_from(
        ["we want {} please", "It is about {} for us.", "Tell them {} and nothing else."]
    ),
)
def test_however_far_back_the_detail_is(
    before: int, after: int, pair: tuple[str, str], detail: str
) -> None:
    told = [
        text for turn in range(before) for text in (f"We talked about topic {turn}.", "Yes, go on.")
    ]
    rest = [text for turn in range(after) for text in (f"There is a part {turn} too.", "I see.")]
    ours, theirs = (
        chat(*told, detail.format(each), "Noted.", *rest, "So what do you suggest?")
        for each in pair
    )
    assert verdict(ours, ours) is None
    assert verdict(ours, theirs) is not None


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
@example("0", "", "A0\u00c0'A")  # a name, by its accent, that its other part is not
def test_any_texts_are_compared_both_ways_alike_and_with_themselves(
    one: str, reply: str, question: str
) -> None:
    ours = chat(one, reply, question)
    assert verdict(ours, ours) is None
    verdict(ours, chat(question, reply, one))


def test_chats_of_different_length_are_different_unless_the_rest_is_small_talk() -> None:
    assert (
        verdict(chat(*BOOKING), chat("I am vegetarian.", "I will keep that in mind.", *BOOKING))
        == "history-length"
    )


def test_yes_means_what_was_offered() -> None:
    offered = chat("My gym costs too much.", "Shall I cancel it for you?", "Yes, please do.")
    assert (
        verdict(
            offered, chat("My gym costs too much.", "Shall I pause it for you?", "Yes, please do.")
        )
        == "history-reply"
    )
    assert (
        verdict(
            offered, chat("My gym costs too much.", "Shall I cancel it for you?", "yes please do")
        )
        is None
    )


def test_great_answers_a_question_and_is_small_talk_otherwise() -> None:
    accepted = chat(
        "Find me a hotel.",
        "I found the Ritz. Shall I book it?",
        "Great!",
        "Done.",
        "What does it cost?",
    )
    assert build_chat_turns(accepted).user_turns == (
        "Find me a hotel.",
        "Great!",
        "What does it cost?",
    )
    pleased = chat(
        "Find me a hotel.", "I found the Ritz.", "Great!", "Anything else?", "What does it cost?"
    )
    assert build_chat_turns(pleased).user_turns == ("Find me a hotel.", "What does it cost?")


def test_turns_are_compared_by_what_is_given() -> None:
    ours, theirs = (
        chat(f"I would like {thing}.", "Sure.", "And now?")
        for thing in ("one thing", "something else entirely")
    )
    assert (
        veto_chat(
            build_chat_turns(ours), build_chat_turns(theirs), compare=lambda one, other: "told"
        )
        == "history-told"
    )


@pytest.mark.parametrize(
    ("sentence", "small"),
    [
        ("Thanks!", True), ("Hello, nice weather today.", True), ("Hey, are you a real person?", True), ("", True),  # noqa: E501 -- a row of a table
        ("Yes", False), ("No, thanks", False), ("Great, the first one", False), ("It is 5", False), ("Cancel it, thanks", False),  # noqa: E501 -- a row of a table
        ("What is it?", False), ("Hello Anna", False),
    ],
)  # fmt: skip
def test_what_is_small_talk(sentence: str, small: bool) -> None:
    assert is_small_talk(sentence) is small


def test_small_talk_is_dropped_sentence_by_sentence() -> None:
    assert strip_small_talk("Hi! I need a cab. Thanks!") == "I need a cab."
    assert strip_reply_small_talk("It is booked. Anything else?") == ("It is booked.", False)
    assert strip_reply_small_talk("I found two. Which one?") == ("I found two. Which one?", True)
