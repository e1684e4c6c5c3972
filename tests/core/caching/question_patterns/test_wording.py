"""Questions about the letters and signs of a text within them are for the exact tier only."""

import pytest

from evaluation.eligibility import refusal


@pytest.mark.parametrize(
    "question",
    [
        "Translate: Let's eat, grandma",
        "Translate to French: I like cooking dogs",
        "Is it correct: its",
        "Correct this: I like cooking, dogs and children.",
        "Proofread this:\nHello world",
        "Is the comma right: No, thanks",
        'Is "well-known" right?',
        "Is “well-known” spelled right?",
        'Is "Hello" the same as "hello"?',
        "Reverse the text: ab!",
        "Count the spaces: a  b",
        'How long is the string "a  b"?',
        "How many bytes is é in UTF-8?",
        "How many letters are in strawberry?",
        "Is \ufb00 one character?",
        "What is the Unicode name of –?",
        "Übersetze: Wir essen, Opa",
        "Traduis : On mange, papi",
        "Corrige esto: vamos a comer niños",
        "翻译：我们吃，爷爷",
        "Исправьте: казнить нельзя, помиловать",
    ],
)
def test_the_wording_is_what_is_asked_about(question: str) -> None:
    assert refusal(question) == "wording"


@pytest.mark.parametrize(
    "question",
    [
        "How do I translate a page in Chrome?",
        'What does "idempotent" mean?',
        "What does the word 'irony' mean?",
        '"What is the capital of Norway?"',
        "How do I use the “Save as” button?",
        'Who said "I have a dream"?',
        "What's the right way to hold a knife?",
        "How do I sort a list: in place or not?",
        "Hello: how do I renew a passport?",
        "What is Unicode?",
        "How do I fix the error 'file not found'?",
        "How do I count calories?",
    ],
)
def test_other_questions_with_quotes_and_colons_are_compared_by_meaning(question: str) -> None:
    assert refusal(question) is None
