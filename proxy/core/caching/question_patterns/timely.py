"""Detect questions whose answer changes from one day or hour to the next.

Narrow on purpose: "can I open an account today?" and "what is a current account?" have the same
answer every day. So a word such as today counts only in a question about the world, without I and
my; and some subjects always change: weather, scores, share prices.
"""

import re

from proxy.core.caching.question_patterns.timely_phrases import asks_about_now
from proxy.core.text.plain_words import simplify_text

# Untrusted text is searched from every position, so every repetition has a bound.
_WORD = r"\w{1,30}"
_TIME_WORDS = (
    r"(?:today|tonight|tomorrow|yesterday|now|nowadays|currently|presently|recently|at present|"
    r"right now|this (?:morning|afternoon|evening|week(?:end)?|month|season)|last night|"
    r"at the moment|so far this|just now)"
)
_ABOUT_THE_WORLD = re.compile(
    r"^(?:(?:hi|hello|hey|please|and|so|well)\b[,!.]? ?)?"
    r"(?:what|which|who|whose|is|are|was|were|will|did|has|have|any|give|list|when|anything|"
    r"how (?:is|are|was|did|busy|much is|much are|hot|cold|long is|many|old|full|bad|strong))\b"
    rf"(?:'s|'re)?[^?!]{{0,1000}}\b{_TIME_WORDS}\b"
)
_RIGHT_NOW = re.compile(
    r"\b(?:right now|at the moment|at this moment|as of (?:now|today)|"
    r"this (?:very )?(?:minute|second))\b"
)
_ASKER_WORDS = re.compile(r"\b(?:i|i'm|i've|my)\b")
_SENTENCE_END = re.compile(r"[.!?] ")
_PERSON_WORDS = re.compile(r"\b(?:i|i'm|i've|i'd|my|me|mine|we|our|us|you|your)\b")
_CHANGING_SUBJECTS = (
    (
        r"what(?:'s| is)? (?:the )?(?:time|date|day|month|"
        r"year)(?: of the week)? (?:is it|it is|today|now)"
    ),
    r"what (?:time|day|date|month|year) is it",
    r"what day of the week",
    r"how (?:many days|long) (?:until|till)",
    (
        r"(?:latest|current|today'?s|tonight'?s|live|breaking|this week'?s|newest|most recent|"
        rf"up[- ]to[- ]date) (?:{_WORD} )?(?:news|headlines?|scores?|weather|forecast|traffic|"
        r"prices?|stock|rates?|version|release|models?|specials?|changes|restrictions?|president|"
        r"prime minister|champions?|ceo|wait|status|results?|iphone|phone|inflation)"
    ),
    rf"(?:weather|news|traffic) (?:like |in {_WORD} )?(?:today|tonight|now|tomorrow)",
    (
        r"what(?:'s| is) the (?:weather|temperature (?:outside|in)|traffic|score|pollen|"
        r"air quality|share price|wait time)"
    ),
    r"(?:share|stock|gold|silver|oil|bitcoin) price of",
    r"(?:share|stock|gold|bitcoin) price\b",
    r"price of (?:bitcoin|gold|silver|oil|petrol)",
    rf"(?:score|result)s? (?:in|of) the {_WORD} (?:match|game|race)",
    r"who (?:won|is winning|is leading)\b",
    r"trending",
    r"(?:delays|outages|disruptions?) (?:on|at|in|out)\b",
    rf"(?:flights?|trains?|bus|buses) (?:{_WORD} ){{0,8}}(?:delayed|cancelled|running|on time)",
    r"when (?:does|will) the next\b",
    r"next (?:bus|train|flight|tram|ferry|full moon)\b",
    r"tickets (?:still )?left",
    r"still (?:snow|rain|storm)ing",
    rf"(?:has|have) the {_WORD} (?:{_WORD} )?yet\b",
    r"is there a sale on\b",
    r"(?:sun|moon) (?:set|rise)s? (?:today|tonight)",
    r"what's on tonight",
)
_CHANGING_PATTERN = re.compile(r"\b(?:" + "|".join(_CHANGING_SUBJECTS) + ")")


def is_time_sensitive(question: str) -> bool:
    """Return whether the answer holds for a short time only.

    In English and the languages of `timely_phrases`.
    """
    return any(map(_is_about_now, _SENTENCE_END.split(simplify_text(question)))) or asks_about_now(
        question
    )


def _is_about_now(sentence: str) -> bool:
    if _CHANGING_PATTERN.search(sentence) or (
        _RIGHT_NOW.search(sentence) and not _ASKER_WORDS.search(sentence)
    ):
        return True
    return _ABOUT_THE_WORLD.search(sentence) is not None and _PERSON_WORDS.search(sentence) is None
