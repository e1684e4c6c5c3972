"""The rules that veto a stored question's answer, by name, the cheap ones first.

They detect questions with different answers, and nothing else: without a veto the questions need
not be equivalent.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Final

from proxy.core.text.language_detection import find_language
from proxy.core.verification.accents import unify_name_accents
from proxy.core.verification.english import is_english
from proxy.core.verification.equivalence import may_be_equivalent
from proxy.core.verification.notation import literally_equal, notations_differ
from proxy.core.verification.parsed_text import ParsedText, parse_text_memoized
from proxy.core.verification.rules.antonyms import antonyms_differ
from proxy.core.verification.rules.foreign_questions import explain_foreign_difference
from proxy.core.verification.rules.names import capitals_differ, names_differ
from proxy.core.verification.rules.near_spelling import spelling_differs
from proxy.core.verification.rules.negation import negation_differs
from proxy.core.verification.rules.numbers import measures_differ, numbers_differ
from proxy.core.verification.rules.particles import particles_differ
from proxy.core.verification.rules.quantifiers import quantifiers_differ
from proxy.core.verification.rules.question_words import question_words_differ
from proxy.core.verification.rules.relative_dates import dates_differ
from proxy.core.verification.rules.roles import roles_differ
from proxy.core.verification.rules.substitution import is_word_exchanged, is_word_replaced
from proxy.core.verification.rules.tense import tenses_differ
from proxy.core.verification.rules.unlisted_words import unlisted_words_differ
from proxy.core.verification.rules.unrelated import subjects_differ
from proxy.core.verification.rules.word_order import order_differs
from proxy.core.verification.spelling import repair_typos

# Reasons checked before all rules.
SIGNS_REASON, LANGUAGE_REASON = "signs", "language"
PRE_RULE_REASONS: Final = (SIGNS_REASON, LANGUAGE_REASON)

Rule = Callable[[ParsedText, ParsedText], bool]

RULES: Final[dict[str, Rule]] = {
    "numbers": numbers_differ,
    "units": measures_differ,
    "negation": negation_differs,
    "unrelated": subjects_differ,
    "antonyms": antonyms_differ,
    "scope": quantifiers_differ,
    "dates": dates_differ,
    "names": names_differ,
    "capitals": capitals_differ,
    "spelling": spelling_differs,
    "unlisted": unlisted_words_differ,
    "question": question_words_differ,
    "order": order_differs,
    "roles": roles_differ,
    "particles": particles_differ,
    "tense": tenses_differ,
    "replaced": is_word_replaced,
    "exchanged": is_word_exchanged,
}
# These veto many true paraphrases. Where the trained verifier decides, they are left to it.
DOUBTFUL_RULES: Final = ("capitals", "replaced")
SURE_RULES: Final = {name: rule for name, rule in RULES.items() if name not in DOUBTFUL_RULES}


def list_doubtful_objections(asked: str, stored: str) -> list[str]:
    """Return the names of the `DOUBTFUL_RULES` that object. Symmetric."""
    asked, stored = unify_name_accents(asked, stored)
    ours, theirs = repair_typos(parse_text_memoized(asked), parse_text_memoized(stored))
    return [name for name in DOUBTFUL_RULES if RULES[name](ours, theirs)]


def veto_question(asked: str, stored: str, rules: Mapping[str, Rule] = RULES) -> str | None:
    """Return why the stored question's answer must not be served for the one asked, or None.

    `signs`, `language`, or a key of `rules`. Symmetric; linear in the length of the texts.
    """
    asked, stored = unify_name_accents(asked, stored)
    if not may_be_equivalent(asked, stored):
        # Some rule objects to most of these, and costs less than to look at their marks.
        return (
            _explain_foreign(asked, stored)
            or _apply_rules(asked, stored, rules)
            or _explain_signs(asked, stored)
        )
    if literally_equal(asked, stored):
        return None
    return explain_unreadable(asked, stored) or _apply_rules(asked, stored, rules)


def veto_question_of(
    languages: Collection[str], asked: str, stored: str, rules: Mapping[str, Rule] = RULES
) -> str | None:
    """Return what `veto_question` does; of two questions of one of `languages`, what differs.

    `languages`: codes besides English.
    """
    language = find_language(asked) if languages else None
    if language in languages and find_language(stored) == language:
        return explain_foreign_difference(asked, stored)
    return veto_question(asked, stored, rules)


def explain_unreadable(asked: str, stored: str) -> str | None:
    """Return `signs` if the texts' marks differ, `language` if one is not English, else None."""
    return _explain_signs(asked, stored) or _explain_foreign(asked, stored)


def _explain_signs(asked: str, stored: str) -> str | None:
    return SIGNS_REASON if notations_differ(asked, stored) else None


def _explain_foreign(asked: str, stored: str) -> str | None:
    return None if is_english(asked) and is_english(stored) else LANGUAGE_REASON


def _apply_rules(asked: str, stored: str, rules: Mapping[str, Rule]) -> str | None:
    """Return the first of the rules that objects to two English texts, or None."""
    ours, theirs = repair_typos(parse_text_memoized(asked), parse_text_memoized(stored))
    if ours == theirs:
        return None
    return next((name for name, differs in rules.items() if differs(ours, theirs)), None)
