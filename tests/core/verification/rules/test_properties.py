"""What holds for the rules whatever the texts:
the same both ways round, silent about harmless edits, quick on hostile ones."""

import random
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.text.normalize import fold_text
from proxy.core.verification.equivalence import equivalent
from proxy.core.verification.lexicon.word_ranks import load_lexicon
from proxy.core.verification.rules.rule_registry import PRE_RULE_REASONS, RULES, veto_question

load_lexicon()  # what is read once a process is no part of a deadline

WORDS = (
    "how do i the a to from in not no two 2 one first last only all before after enable disable "
    "open close paris Leeds Anna card refund transfer booking monday tomorrow 7am 7 pm $5 5 "
    "dollars don't isn't hours days beofre tranfser from, york? 1,000 . ! 'tis log in out"
).split()
SENTENCES = st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)
TEXTS = st.one_of(SENTENCES, st.text(max_size=60))
QUESTIONS = (
    "how do I reset the password of my second account",
    "is breakfast included when two adults and 3 children stay in Leeds",
    "transfer $20 from my savings to my checking account before monday",
    "which of the trains from York to Bristol leaves first tomorrow",
    "why can't I log in after I changed my phone number",
    "do not remind me to call Anna at 7:30 pm",
)
EDITS: dict[str, Callable[[str], str]] = {
    "politeness": lambda text: f"Hi there, could you please tell me: {text}? Thanks!",
    "capitals": str.upper,
    "lower case": str.lower,
    "punctuation": lambda text: f"... {text}??!",
    "spaces": lambda text: "  " + text.replace(" ", "  \n"),
    "contractions": lambda text: (
        text.replace("can't", "can not").replace("do not", "don't").replace("is ", "'s ", 1)
    ),
    "numbers in words": lambda text: (
        text.replace(" two ", " 2 ").replace(" 3 ", " three ").replace("$20", "20 dollars")
    ),
    "unseen characters": lambda text: text.replace("o", "o\u200b", 1).replace("e", "e\u00ad", 1),
    "typographic apostrophes": lambda text: text.replace("'", "’"),
    "exchanged letters": lambda text: (
        text.replace("password", "passwrod")
        .replace("breakfast", "braekfast")
        .replace("savings", "svaings")
    ),
    "synonyms": lambda text: (
        text.replace("children", "kids")
        .replace("changed", "modified")
        .replace("phone", "telephone")
    ),
}


@given(TEXTS, TEXTS)
def test_the_verdict_is_the_same_both_ways_round(asked: str, stored: str) -> None:
    assert veto_question(asked, stored) == veto_question(stored, asked)
    assert veto_question(asked, stored) in {None, *PRE_RULE_REASONS, *RULES}


@given(TEXTS)
def test_a_text_agrees_with_itself(text: str) -> None:
    assert veto_question(text, text) is None
    assert veto_question(text, f" {text} \n") is None


@given(
    st.sampled_from(QUESTIONS),
    st.lists(st.sampled_from(sorted(EDITS)), min_size=1, max_size=2, unique=True),
)
def test_a_harmless_edit_passes(question: str, edits: list[str]) -> None:
    edited = question
    for edit in edits:
        edited = EDITS[edit](edited)
    assert veto_question(question, edited) is None


@given(st.text(max_size=200))
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold_text(fold_text(text)) == fold_text(text)


def _salad(seed: int, size: int) -> str:
    draw = random.Random(seed)
    return " ".join("".join(draw.choices("abcdefgh", k=6)) for _ in range(size // 7))


HOSTILE: dict[str, Callable[[int], tuple[str, str]]] = {
    "one word": lambda size: ("a" * size, "b" * size),
    "sentences": lambda size: ("a b. " * (size // 5), "." * size + "x"),
    "digits": lambda size: ("1," * (size // 2), "1." * (size // 2)),
    "apostrophes": lambda size: ("a'" * (size // 2), "n't" * (size // 3)),
    "capitals": lambda size: ("A b " * (size // 4), "A c " * (size // 4)),
    "marks": lambda size: ("a" + "\u0300\u0327" * (size // 2), "a" + "\u0327\u0300" * (size // 2)),
    "letters that unfold": lambda size: ("\ufdfa" * (size // 3), "\ufdfb" * (size // 3)),
    "unseen characters": lambda size: ("a\u200b" * (size // 2), "b\u2060" * (size // 2)),
    "other words": lambda size: (_salad(1, size), _salad(2, size)),
    "negations": lambda size: ("not un " * (size // 7), "no in " * (size // 6)),
    "numbers and units": lambda size: ("5 days " * (size // 7), "5 $ " * (size // 4)),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_text_costs_a_moment_and_no_minutes(kind: str) -> None:
    asked, stored = HOSTILE[kind](100_000)
    begin = time.process_time()
    veto_question(asked, stored)
    # A time that is quadratic in the length would be minutes.
    assert time.process_time() - begin < 5


@pytest.mark.parametrize(
    "said",
    ["Hey there, ", "Hi there! ", "Hello there. ", "Quick question: ", "Hi, quick question: "],
)
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_greeting_says_nothing(said: str, question: str) -> None:
    assert equivalent(said + question, question)
    assert not equivalent(said + question, "is there parking there")
