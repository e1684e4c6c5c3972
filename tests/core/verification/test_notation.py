"""What counts in a question beside its words: signs, code, pictures, letters, case, language;
and what does not."""

import time

import pytest

from proxy.core.caching.eligibility import MAX_QUESTION_LENGTH
from proxy.core.verification.english import is_english
from proxy.core.verification.equivalence import equivalent
from proxy.core.verification.lexicon.word_ranks import is_word, zipf_frequency
from proxy.core.verification.notation import literally_equal, parse_notation
from proxy.core.verification.rules.rule_registry import SURE_RULES, veto_question
from tests.support.texts.question_pairs import DIFFERENT, SAME


@pytest.mark.parametrize(("one", "other"), [pair for pairs in DIFFERENT.values() for pair in pairs])
def test_what_differs_in_what_a_model_reads_never_shares_an_answer(one: str, other: str) -> None:
    assert veto_question(one, other, SURE_RULES) is not None
    assert veto_question(other, one, SURE_RULES) == veto_question(one, other, SURE_RULES)
    assert not equivalent(one, other)
    assert not equivalent(other, one)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_differs_in_nothing_that_counts_says_the_same(one: str, other: str) -> None:
    assert equivalent(one, other)
    assert equivalent(other, one)
    assert veto_question(one, other) is None


def test_a_text_with_signs_is_compared_to_the_letter_but_for_its_ends() -> None:
    code = "What does x = 1 do in Python?"
    assert literally_equal(code, "Please, what does x = 1 do in Python")
    assert veto_question(code, "What does x = 1 do in PYTHON?") == "signs"
    assert veto_question(code, "Can you tell what x = 1 does in Python?") == "signs"
    assert parse_notation(code).is_formal


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("How do I recieve my invoice?", True),
        ("reset password", True),
        ("What does XYZZY mean?", True),
        ("Is Wolfgang Amadeus Mozart buried in Vienna?", True),
        ("7 - 3", True),
        ("Rechnung finden", False),
        ("cara aktifkan notifikasi", False),
        ("Wo finde ich meine Rechnung?", False),
        ("Where is it? Antworte bitte auf Deutsch", False),
        ("Jak zmienić hasło?", False),
    ],
)
def test_what_may_be_of_another_language_is(text: str, english: bool) -> None:
    assert is_english(text) is english


def test_the_words_are_those_of_real_lists() -> None:
    assert all(map(is_word, ("nitrate", "nitrite", "trainee", "marital", "costumer")))
    assert not any(map(is_word, ("recieve", "pasword", "xyzzy", "passwrod")))
    assert zipf_frequency("receive") > zipf_frequency("recieve") > zipf_frequency("passwrod") == 0


@pytest.mark.parametrize(
    "text",
    [
        "word " * 200,
        "a=b; " * 200,
        "(" * 1000,
        '"' * 1000,
        "." * 1000,
        "x" * 1000,
        "🙂" * 1000,
        "a.b/c-d " * 125,
        "é" * 1000,
        "`a` -- & " * 100,
        "What is the chance that somebody mistypse a word? " * 20,
        "1,000.00 $ " * 90,
        "aa-" * 333,
        "a'" * 500,
    ],
)
def test_a_question_is_read_in_a_few_milliseconds(text: str) -> None:
    text = text[:MAX_QUESTION_LENGTH]
    other = text[:-1] + "y"
    assert min(_seconds(text, other, again) for again in range(3)) < 0.05  # 5 ms on a quiet machine


def _seconds(one: str, other: str, again: int) -> float:
    begun = time.process_time()
    # Other texts each time: nothing is remembered.
    veto_question(f"{one} {again}", f"{other} {again}")
    equivalent(f"{one} {again}", f"{other} {again}")
    return time.process_time() - begun
