"""Compare two answers to one question, to judge sampled hits. A heuristic that may be unclear.

A model words the same answer differently each time, so wording does not count. *Wrong*: about
different things (cosine of the embeddings), with other numbers, or yes against no. *Right*: near in
meaning, and no rule finds a difference. Everything between is *unclear*. Both bounds of the cosine
were set on `evaluation/data/same_answers.jsonl`.
"""

import re
from typing import Any, Final, Literal

from proxy.core.text.normalize import fold_text
from proxy.core.verification.parsed_text import ParsedText, parse_text
from proxy.core.verification.rules.antonyms import antonyms_differ
from proxy.core.verification.rules.negation import negation_differs
from proxy.core.verification.rules.numbers import numbers_differ_both_ways, units_differ
from stats.analysis.error_rate import Verdict

MIN_UNCLEAR_SIMILARITY: Final = 0.60
MIN_RIGHT_SIMILARITY: Final = 0.80
# The same for cosines of the means of words, which are higher.
MIN_RIGHT_WORD_SIMILARITY: Final = 0.88
# Characters of a text that the embedder reads; the rules read all of it.
MAX_EMBEDDED_LENGTH: Final = 1_000
_YES = re.compile(r"\W*(yes|yeah|sure|certainly|absolutely|of course|correct)\b", re.IGNORECASE)
_NO = re.compile(
    r"\W*(no|nope|unfortunately|sorry|i'm sorry|i am sorry|i'm afraid)\b", re.IGNORECASE
)
# Bullets are removed, numbers of list items with them: whether an answer is a list does not matter.
_BULLET = re.compile(r"^[^\S\n]*(?:\d+[.)]|[-*•])\s+", re.MULTILINE)


def extract_answer_text(completion: dict[str, Any] | None) -> str:
    """Return the text of the first choice, or "" if it has none."""
    choices = (completion or {}).get("choices")
    message = (
        choices[0].get("message")
        if isinstance(choices, list) and choices and isinstance(choices[0], dict)
        else None
    )
    text = message.get("content") if isinstance(message, dict) else None
    return text if isinstance(text, str) else ""


def compare_answer_texts(stored: str, fresh: str, similarity: float) -> Verdict:
    """Return whether the stored answer was right, judged by the fresh one. Symmetric.

    `similarity`: the cosine of their embeddings.
    """
    if same_text(stored, fresh):
        return "right"
    difference = find_difference(stored, fresh)
    if similarity < MIN_UNCLEAR_SIMILARITY or difference == "certain":
        return "wrong"
    return "unclear" if similarity < MIN_RIGHT_SIMILARITY or difference else "right"


def find_difference(stored: str, fresh: str) -> Literal["certain", "possible"] | None:
    """Return how surely the rules tell two answers apart, None if they do not. Symmetric.

    `possible`: equivalent answers may show such a difference as well.
    """
    ours, theirs = _fold_answer(stored), _fold_answer(fresh)
    one, other = parse_text(ours), parse_text(theirs)
    if numbers_differ_both_ways(one, other) or _is_yes_against_no(ours, theirs):
        return "certain"
    return "possible" if _may_differ(one, other) else None


def same_text(stored: str, fresh: str) -> bool:
    """Return whether the texts are equal but for bullets and variants of characters."""
    return _fold_answer(stored) == _fold_answer(fresh)


def _fold_answer(text: str) -> str:
    return fold_text(_BULLET.sub("", text)).strip()


def _is_yes_against_no(one: str, other: str) -> bool:
    return bool((_YES.match(one) and _NO.match(other)) or (_NO.match(one) and _YES.match(other)))


def _may_differ(one: ParsedText, other: ParsedText) -> bool:
    """Return whether the answers show a difference that equivalent answers may show as well."""
    names_apart = bool(one.names - other.words and other.names - one.words)
    return (
        names_apart
        or negation_differs(one, other)
        or antonyms_differ(one, other)
        or units_differ(one, other)
    )
