"""May a near question have this question's answer? Rules with a name each, the cheap ones first.

They know what two questions with different answers look like, and look at nothing else: that no rule objects does not mean the questions
are the same.
"""

from collections.abc import Callable, Mapping
from typing import Final

from proxy.core.verification.accents import named_alike
from proxy.core.verification.english import is_english
from proxy.core.verification.notation import equivalent, notations_differ
from proxy.core.verification.parsed_text import Reading, remembered
from proxy.core.verification.rules.antonyms import antonyms_differ
from proxy.core.verification.rules.names import capitals_differ, names_differ
from proxy.core.verification.rules.near_spelling import spelling_differs
from proxy.core.verification.rules.negation import polarity_differs
from proxy.core.verification.rules.numbers import measures_differ, numbers_differ
from proxy.core.verification.rules.particles import particles_differ
from proxy.core.verification.rules.quantifiers import scope_differs
from proxy.core.verification.rules.question_words import asks_differ
from proxy.core.verification.rules.relative_dates import dates_differ
from proxy.core.verification.rules.roles import roles_differ
from proxy.core.verification.rules.substitution import exchanged, replaced
from proxy.core.verification.rules.tense import tenses_differ
from proxy.core.verification.rules.unlisted_words import unlisted_differ
from proxy.core.verification.rules.unrelated import unrelated
from proxy.core.verification.rules.word_order import order_differs
from proxy.core.verification.spelling import repaired

# What is looked at before all rules.
SIGNS, LANGUAGE = "signs", "language"
READ_FIRST: Final = (SIGNS, LANGUAGE)

Rule = Callable[[Reading, Reading], bool]

RULES: Final[dict[str, Rule]] = {
    "numbers": numbers_differ,
    "units": measures_differ,
    "negation": polarity_differs,
    "unrelated": unrelated,
    "antonyms": antonyms_differ,
    "scope": scope_differs,
    "dates": dates_differ,
    "names": names_differ,
    "capitals": capitals_differ,
    "spelling": spelling_differs,
    "unlisted": unlisted_differ,
    "question": asks_differ,
    "order": order_differs,
    "roles": roles_differ,
    "particles": particles_differ,
    "tense": tenses_differ,
    "replaced": replaced,
    "exchanged": exchanged,
}
# Objections to many a true paraphrase. Where the learned check has the last word they are left to it.
DOUBTFUL: Final = ("capitals", "replaced")
SURE: Final = {name: rule for name, rule in RULES.items() if name not in DOUBTFUL}


def doubts(asked: str, stored: str) -> list[str]:
    """The rules of DOUBTFUL that object. The same both ways round."""
    asked, stored = named_alike(asked, stored)
    ours, theirs = repaired(remembered(asked), remembered(stored))
    return [name for name in DOUBTFUL if RULES[name](ours, theirs)]


def veto(asked: str, stored: str, rules: Mapping[str, Rule] = RULES) -> str | None:
    """Why the stored question's answer must not be served for the one asked: `signs`, `language`, or a key of `rules`; None when nothing
    objects.

    The same both ways round. The time is linear in the length of the texts.
    """
    asked, stored = named_alike(asked, stored)
    if equivalent(asked, stored):
        return None
    if reason := unread(asked, stored):
        return reason
    ours, theirs = repaired(remembered(asked), remembered(stored))
    if ours == theirs:
        return None
    return next((name for name, differs in rules.items() if differs(ours, theirs)), None)


def unread(asked: str, stored: str) -> str | None:
    """Why no rule may be asked about texts that are not equivalent: their signs differ, or they are not English."""
    if notations_differ(asked, stored):
        return SIGNS
    return None if is_english(asked) and is_english(stored) else LANGUAGE
