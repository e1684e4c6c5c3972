"""The rules on a question's words, with texts made to let them search for long:
all of them linear."""

import re
import time
from itertools import product

import pytest

from evaluation.eligibility import bypassed
from proxy.core.caching.eligibility import MAX_QUESTION_LENGTH
from proxy.core.caching.question_patterns import personal, timely, wording
from proxy.core.caching.question_patterns import personal_phrases as own_data
from proxy.core.caching.question_patterns import timely_phrases as moments
from proxy.core.caching.question_patterns.personal import is_personal
from proxy.core.text import language_detection, plain_words

pytestmark = pytest.mark.slow
# Five milliseconds are the budget on a quiet machine; a machine that is shared is given more.
MOST_SECONDS = 0.05
BLANKS = (" ", "\t", "\n", "\u00a0", "\u2003", "\u3000", " \t", "\u200b ", "\u00a0\u200d")
NOUNS = (
    "order ticket case booking reservation invoice tracking account reference policy claim".split()
)
MODULES = (personal, timely, wording, language_detection, plain_words, own_data, moments)
COMPILED = [
    value for module in MODULES for value in vars(module).values() if isinstance(value, re.Pattern)
] + [getattr(rules, name) for rules in moments._COMPILED_LANGUAGES for name in rules.__slots__]
WORDS = sorted(
    {word for pattern in COMPILED for word in re.findall(r"[^\W\d_]{2,}", pattern.pattern)}
)


@pytest.mark.parametrize("noun", NOUNS)
def test_a_noun_then_blanks_then_a_letter(noun: str) -> None:
    for blank, end in product(BLANKS, ("x", "#x", "is x", "number is", ":")):
        assert _is_quick(noun + (blank * 900)[:900] + end)


@pytest.mark.parametrize("character", ["\ufdfa", "\u1fe4", "\u0130", "\ufb03", "\u3300", "\u0958"])
def test_a_character_that_is_many_when_folded(character: str) -> None:
    assert _is_quick(character * MAX_QUESTION_LENGTH)


@pytest.mark.parametrize("glue", [" ", "-", "", "@", ".", "' ", "1 "])
def test_any_word_of_the_rules_again_and_again(glue: str) -> None:
    assert len(WORDS) > 1000
    for word in [
        *WORDS[::5],
        "my",
        "i",
        "1",
        "-",
        "a@",
        "a.",
        "what is my",
        "how many",
        "is the",
        "do i",
        "did i",
        "my last",
    ]:
        assert _is_quick((word + glue) * MAX_QUESTION_LENGTH)


def test_no_rule_repeats_without_a_bound() -> None:
    searched = [pattern for pattern in COMPILED if pattern not in vars(plain_words).values()]
    assert len(searched) > 50
    assert [
        pattern.pattern
        for pattern in searched
        if _repeats_forever(re._parser.parse(pattern.pattern))  # type: ignore[attr-defined]
    ] == []


def _repeats_forever(parsed: object) -> bool:
    """Whether any part of a parsed expression may be repeated without end."""
    if isinstance(parsed, tuple) and len(parsed) == 3 and parsed[1] is re._constants.MAXREPEAT:  # type: ignore[attr-defined]
        return True
    parts = parsed if isinstance(parsed, (tuple, list)) else getattr(parsed, "data", ())
    return any(map(_repeats_forever, parts))


def test_blanks_of_any_kind_are_one() -> None:
    for blank in BLANKS:
        assert is_personal(f"Where{blank * 3}is{blank * 2}my{blank}order?")


def _is_quick(text: str) -> bool:
    """Whether reading the first thousand characters is quick, at one of three tries."""
    return any(_once(text[:MAX_QUESTION_LENGTH]) < MOST_SECONDS for _ in range(3))


def _once(question: str) -> float:
    begun = time.process_time()
    bypassed(question)
    return time.process_time() - begun
