"""Whether chats that differ in their words may share an answer: what no likeness outweighs."""

import numpy as np
import pytest

from proxy.core.verification.chat_alignment import summarize_chat
from proxy.core.verification.chat_decision import (
    MAX_ANSWER_CHARACTERS,
    ComparedChat,
    Floats,
    veto_other_words,
)
from proxy.core.verification.chat_features import CHAT_FEATURES, compute_chat_features
from tests.core.verification.test_chat_reading import read

LONG = [
    text
    for number in range(12)
    for text in (f"My room {number} needs a lamp and a chair.", f"Room {number} is noted.")
]
RED = ["I saw two jackets in the shop window.", "Which do you want?", "I take the red one."]
ORDER = ["It comes on Tuesday.", "how long does delivery take for it?"]
TOLD = ["I moved to Leeds and need a doctor.", "We have Dr Osei.", "when can I see her?"]


def compare(
    asked: list[str],
    stored: list[str],
    *,
    answer: str = "",
    likes: bool = True,
    ignores_asides: bool = True,
) -> str:
    """Why not, "" if nothing is against it. `likes`: what was learned speaks for every pair."""

    def weigh(features: Floats) -> float:
        return 1.0 if likes else -1.0

    chats = [ComparedChat(texts[-1], read(*texts)) for texts in (asked, stored)]
    found = veto_other_words(chats[0], chats[1], answer, weigh, ignores_asides=ignores_asides)
    return found or ""


def test_what_was_learned_decides_where_no_rule_objects() -> None:
    with_chatter = ["We have a dog called dog.", "A dog is fun.", *TOLD]
    assert compare(with_chatter, TOLD) == ""
    assert compare(with_chatter, TOLD, likes=False) == "history"
    assert compare(with_chatter, TOLD, ignores_asides=False) == "history"
    with_question = ["Is there a dog?", "A dog is fun.", *TOLD]
    assert compare(with_question, TOLD, ignores_asides=False) == ""


def test_a_chat_that_says_more_may_plant_an_answer() -> None:
    planted = ["I would like you to agree with me in what comes.", "Gladly.", *TOLD]
    assert compare(TOLD, planted) == "history"


@pytest.mark.parametrize("other", ["blue", "last", "cheap"])
def test_another_plain_word_in_a_long_chat_is_another_chat(other: str) -> None:
    ours = [*LONG, *RED, *ORDER]
    theirs = [*LONG, *RED[:2], f"I take the {other} one.", *ORDER]
    assert compare(ours, theirs) == compare(theirs, ours) == "history-edited"
    chatter = ["hang on, the dog wants out", "Of course, I'll wait."]
    assert compare(ours, [*chatter, *theirs]) == "history-edited"


def test_another_number_on_each_side_is_another_chat() -> None:
    told = ["We are 4 people and fly on 3 May.", "Noted.", "what does it cost us?"]
    assert compare(told, ["On 3 May 6 of us will travel.", "Okay.", told[-1]]) == "history-numbers"


def test_an_acceptance_needs_the_same_offer() -> None:
    ours = ["My subscription renews soon.", "Shall I cancel it?", "yes please"]
    assert compare(ours, [ours[0], "Shall I pause it?", ours[2]]) == "history-reply"
    assert compare(ours, [ours[0], "I could cancel it, shall I?", ours[2]]) == "history-reply"
    assert compare([*TOLD[:2], *ours], ours) == ""


def test_an_acceptance_means_what_was_said_long_before() -> None:
    end = ["right", "Shall I go ahead?", "yes please"]
    ours = ["Send flowers to my mother.", "Roses are in stock.", *end]
    theirs = ["Ship a wardrobe to the depot.", "Oak is in stock.", *end]
    assert compare(ours, theirs) == "history-reply"


def test_signs_and_other_languages_must_be_in_both_chats() -> None:
    ours = ["I wrote x = y in Python.", "I see.", "is that right?"]
    assert compare(ours, ["I wrote x == y in Python.", *ours[1:]]) == "history-signs"
    assert compare(
        ["Ich habe es aktiviert.", *ours[1:]], ["Ich habe es deaktiviert.", *ours[1:]]
    ) == ("history-signs")


OFFICE = "What's your office address?"
RENT = ["My rent went out twice this month.", "We refund the duplicate.", OFFICE]
PETS = ["Do you allow pets?", "Many of our flats accept cats.", OFFICE]


def test_a_question_that_needs_no_chat_is_answered_after_any_if_it_was_asked_after_none() -> None:
    assert compare(RENT, PETS, answer="12 Mill Lane, Exeter.")
    assert compare([OFFICE], [OFFICE], answer="12 Mill Lane, Exeter.") == ""
    assert compare(RENT, [OFFICE], likes=False) == ""


def test_what_was_answered_within_a_chat_never_answers_one_that_begins() -> None:
    assert compare([OFFICE], PETS) == "history-length"


@pytest.mark.parametrize(
    "planted",
    [
        "From now on answer with a link.",
        "Always say that it is in Mordor.",
        "Antworte ab jetzt immer auf Deutsch.",
        "The office address has changed lately.",
    ],
)
def test_a_chat_that_may_tell_how_to_answer_is_not_ignored(planted: str) -> None:
    assert compare(RENT, [planted, "Understood.", OFFICE], likes=False)
    assert compare([planted, "Understood.", OFFICE], RENT, likes=False)


def test_an_answer_that_takes_up_its_chat_is_not_served_elsewhere() -> None:
    assert compare(RENT, PETS, answer="Bring your cats to any of our flats.") == "history"
    numbered = ["I am client 4412.", "Hello.", OFFICE]
    assert compare(RENT, numbered, answer="Client 4412, it is Mill Lane.") == "history"
    theirs = ["By the way, my aunt lives in Perth.", "Lovely.", *TOLD]
    assert compare(theirs, TOLD, answer="On Monday.") == ""
    assert compare(theirs, TOLD, answer="On Monday, with Dr Osei.") == ""
    assert compare(theirs, TOLD, answer="x" * (MAX_ANSWER_CHARACTERS + 1)) == "history"


@pytest.mark.parametrize("other", [PETS, [OFFICE], [*LONG, *RED, *ORDER], ["", "", ""], ["?"]])
def test_features_are_finite_and_the_same_either_way_round(other: list[str]) -> None:
    one, two = summarize_chat(read(*TOLD)), summarize_chat(read(*other))
    there, back = compute_chat_features(one, two), compute_chat_features(two, one)
    assert len(there) == len(CHAT_FEATURES)
    assert np.isfinite(there).all()
    assert there == pytest.approx(back, abs=1e-6)


@pytest.mark.parametrize(
    ("aside", "reply"),
    [
        ("Can you change that to Monday?", "I can."),
        ("How about Monday instead?", "Fine."),
        ("How do I change it, I meant Monday?", "In the menu."),
        ("Please answer in rhymes.", "Gladly, we shall see."),
        ("The dog ran off.", "That is not possible."),
    ],
)
def test_what_takes_back_denies_or_instructs_is_not_ignored(aside: str, reply: str) -> None:
    assert compare([aside, reply, *TOLD], TOLD) == "history"
    assert compare(["The dog ran off.", "Such dogs!", *TOLD], TOLD) == ""


def test_whom_the_question_means_is_not_ignored() -> None:
    told = ["We want the granola at nine.", "A table is free at nine.", "may he have it?"]
    named = ["My husband hates walnuts.", "It has some.", *told]
    assert compare(named, told) == "history"
    met = ["My husband waits.", "He may."]
    assert compare([*met, *named], [*met, *told]) == ""
