"""Whether two questions can be equivalent at all is told by their long words alone:
never wrongly no, and no for nearly all that ask something else."""

import json
from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.cache.hostile import SETS, pairs
from proxy.core.verification.equivalence import equivalent, may_be_equivalent
from proxy.core.verification.spelling import MAX_COMPARED_WORDS, is_one_edit
from tests.core.verification.rules.test_properties import EDITS, QUESTIONS, TEXTS
from tests.support.texts.question_pairs import DIFFERENT, SAME

Texts = tuple[str, str]
LETTERS = st.text("abc", min_size=1, max_size=6)
PLAIN = "abcdefghijklmnopqrstuvwxyz"


def hostile_pairs(*, same: bool) -> Iterator[Texts]:
    for pair in pairs():
        if pair.same is same:
            for one, other in zip(pair.first.messages, pair.second.messages, strict=False):
                if isinstance(one["content"], str) and isinstance(other["content"], str):
                    yield one["content"], other["content"]


def group_pairs(kind: str) -> Iterator[Texts]:
    """Each question with its paraphrases, or its traps."""
    for line in (SETS / "question_groups.jsonl").read_text().splitlines():
        group = json.loads(line)
        yield from ((group["question"], other) for other in group[kind])


REPEATS = [*hostile_pairs(same=True), *SAME]
OTHERS = [
    *hostile_pairs(same=False),
    *(pair for listed in DIFFERENT.values() for pair in listed),
    *group_pairs("paraphrases"),
    *group_pairs("traps"),
]


def agree(one: str, other: str) -> bool:
    """Whether the quick look says the same both ways round, and no only where that is right."""
    quick = may_be_equivalent(one, other)
    return quick == may_be_equivalent(other, one) and (
        quick or not (equivalent(one, other) or equivalent(other, one))
    )


def edited_words(word: str) -> Iterator[str]:
    """The word with one letter more, less, another, or two exchanged."""
    for place in range(len(word) + 1):
        start, rest = word[:place], word[place:]
        yield from (start + letter + rest for letter in "aeiourstln")
        if rest:
            yield start + rest[1:]
            yield from (start + letter + rest[1:] for letter in "aeiourstln")
        if len(rest) > 1:
            yield start + rest[1] + rest[0] + rest[2:]


def test_no_repeat_of_the_written_sets_is_taken_for_hopeless() -> None:
    assert [pair for pair in (*REPEATS, *OTHERS) if not agree(*pair)] == []
    # Or nothing was tried.
    assert sum(equivalent(*pair) for pair in REPEATS) > 300


def test_most_of_what_only_looks_alike_needs_no_closer_look() -> None:
    asked = [*group_pairs("paraphrases"), *group_pairs("traps")]
    assert sum(may_be_equivalent(*pair) for pair in asked) < 0.1 * len(asked)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("edit", EDITS)
def test_a_harmless_edit_is_never_taken_for_hopeless(edit: str, question: str) -> None:
    assert agree(question, EDITS[edit](question))


@pytest.mark.parametrize("word", ["help", "card", "what", "from", "fees", "parcel", "statement"])
def test_every_typo_that_is_forgiven_may_be_one(word: str) -> None:
    """Also one that leaves three letters of four."""
    typed = {each for each in edited_words(word) if each != word}
    asked = {each: (f"Where is the {word} of it?", f"Where is the {each} of it?") for each in typed}
    forgiven = [each for each, texts in asked.items() if equivalent(*texts)]
    assert len(forgiven) > 3
    assert [each for each, texts in asked.items() if not agree(*texts)] == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Who wrote &quot; The Trial &quot; ?", 'Who wrote "The Trial"?'),
        ("What's the fee?", "please, what is the fee"),
        ("they'll pay twenty dollars", "They will pay 20 dollars!"),
        ("How do I set up my account", "How do I setup my account"),
        ("Where is the stattion of the statino", "Where is the station of the station"),
        ("Where is Córdoba?", "Where is the town of Leeds?"),  # accents may be another spelling
        ("a b c 1", "x y z 2"),  # short words say nothing
        ("", ""),
    ],
)
def test_what_may_be_the_same_is_looked_at(one: str, other: str) -> None:
    assert may_be_equivalent(one, other)
    assert may_be_equivalent(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How do I return a parcel?", "How do I return a chequebook?"),
        ("How do I return a parcel?", "How do I return a parcel by bicycle?"),
        ("Where is my invoice?", "Can I pay by card?"),
        ("What does print do?", "What does sprintf do?"),
        ("please help", "help please someone"),
        ("approve it", "reject it"),
        (
            " ".join(f"parcel{letter}" for letter in PLAIN),
            " ".join(f"parcel{letter}{letter}" for letter in PLAIN),
        ),
        ("", "parcel"),
    ],
)
def test_a_long_word_without_a_counterpart_makes_it_hopeless(one: str, other: str) -> None:
    assert not may_be_equivalent(one, other)
    assert not may_be_equivalent(other, one)
    assert len(PLAIN) > MAX_COMPARED_WORDS


@given(TEXTS, TEXTS)
def test_of_any_two_texts_it_says_the_same_both_ways_round(one: str, other: str) -> None:
    assert agree(one, other)


@given(LETTERS, LETTERS)
def test_an_edit_can_be_taken_back(one: str, other: str) -> None:
    assert is_one_edit(one, other) is is_one_edit(other, one)


def test_one_edit_is_one_letter_more_less_or_another_or_two_exchanged() -> None:
    texts = ["".join(letters) for size in range(1, 6) for letters in product("ab", repeat=size)]
    for one, other in product(texts, repeat=2):
        if is_one_edit(one, other) and one != other:
            assert other in reachable(one), (one, other)
        elif one[0] == other[0] and one != other:
            assert other not in reachable(one), (one, other)
    assert is_one_edit("return", "retrun")
    assert not is_one_edit("eturn", "return")  # the first letter is seldom wrong
    assert is_one_edit("erturn", "return")  # the first two exchanged
    assert not is_one_edit("deturn", "return")


def reachable(word: str) -> set[str]:
    """All words of a and b that are one edit away."""
    found = {
        word[:place] + letter + word[place:] for place in range(len(word) + 1) for letter in "ab"
    }
    for place in range(len(word)):
        found.add(word[:place] + word[place + 1 :])
        found |= {word[:place] + letter + word[place + 1 :] for letter in "ab"}
        if place + 1 < len(word):
            found.add(word[:place] + word[place + 1] + word[place] + word[place + 2 :])
    return found


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("I can't log in", "I cannot log in", True),
        ("I cant log in", "I can not log in", True),
        ("Don't cancel my order", "Do not cancel my order", True),
        ("It won't start", "It will not start", True),
        ("It won't start", "It doesn't start", False),
        ("Why mustn't I mix bleach with vinegar?", "Why don't I mix bleach with vinegar?", False),
        ("Why can't I eat this?", "Why shouldn't I eat this?", False),
        ("Can't you help?", "Can you help?", False),
    ],
)
def test_a_negated_contraction_says_which_verb_it_denies(one: str, other: str, same: bool) -> None:
    assert equivalent(one, other) == equivalent(other, one) == same
    assert may_be_equivalent(one, other) or not same
