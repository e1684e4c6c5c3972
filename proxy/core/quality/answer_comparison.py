"""Do two answers say the same?

What samples are judged by. A heuristic, and it says so where it cannot tell.

The same model words the same answer differently each time, so wording counts for nothing. *Wrong*
are answers about different things (the cosine of their embeddings), with other numbers, or a yes
and a no. *Right* are answers near in meaning in which no rule finds a difference. Everything
between is *unclear*. Both bounds of the cosine were set on `evaluation/data/same_answers.jsonl`.
"""

import re
from typing import Any, Final

from proxy.core.text.normalize import fold_text
from proxy.core.verification.parsed_text import ParsedText, parse_text
from proxy.core.verification.rules.antonyms import antonyms_differ
from proxy.core.verification.rules.negation import negation_differs
from proxy.core.verification.rules.numbers import numbers_differ_both_ways, units_differ
from stats.analysis.error_rate import Verdict

MIN_UNCLEAR_SIMILARITY: Final = 0.60
MIN_RIGHT_SIMILARITY: Final = 0.80
# What the embedder reads of a text, in characters; the rules read all of it.
MAX_EMBEDDED_LENGTH: Final = 1_000
_YES = re.compile(r"\W*(yes|yeah|sure|certainly|absolutely|of course|correct)\b", re.IGNORECASE)
_NO = re.compile(
    r"\W*(no|nope|unfortunately|sorry|i'm sorry|i am sorry|i'm afraid)\b", re.IGNORECASE
)
# Lists count their items; that one answer is a list and the other is not makes no difference.
_BULLET = re.compile(r"^[^\S\n]*(?:\d+[.)]|[-*•])\s+", re.MULTILINE)


def extract_answer_text(completion: dict[str, Any] | None) -> str:
    """What the first choice says; "" where it says nothing in words."""
    choices = (completion or {}).get("choices")
    message = (
        choices[0].get("message")
        if isinstance(choices, list) and choices and isinstance(choices[0], dict)
        else None
    )
    text = message.get("content") if isinstance(message, dict) else None
    return text if isinstance(text, str) else ""


def compare_answer_texts(stored: str, fresh: str, similarity: float) -> Verdict:
    """Whether the stored answer was right, by the fresh one.

    `similarity`: the cosine of both. The same both ways round.
    """
    ours, theirs = _fold_answer(stored), _fold_answer(fresh)
    if ours == theirs:
        return "right"
    one, other = parse_text(ours), parse_text(theirs)
    if (
        similarity < MIN_UNCLEAR_SIMILARITY
        or numbers_differ_both_ways(one, other)
        or _is_yes_against_no(ours, theirs)
    ):
        return "wrong"
    return "unclear" if similarity < MIN_RIGHT_SIMILARITY or _may_differ(one, other) else "right"


def same_text(stored: str, fresh: str) -> bool:
    """Whether both are one text but for bullets and ways to write a sign."""
    return _fold_answer(stored) == _fold_answer(fresh)


def _fold_answer(text: str) -> str:
    return fold_text(_BULLET.sub("", text)).strip()


def _is_yes_against_no(one: str, other: str) -> bool:
    return bool((_YES.match(one) and _NO.match(other)) or (_NO.match(one) and _YES.match(other)))


def _may_differ(one: ParsedText, other: ParsedText) -> bool:
    """Signs of a difference that answers in other words have as well."""
    names_apart = bool(one.names - other.words and other.names - one.words)
    return (
        names_apart
        or negation_differs(one, other)
        or antonyms_differ(one, other)
        or units_differ(one, other)
    )
