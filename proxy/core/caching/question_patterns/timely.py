"""Questions whose answer changes from one day or hour to the next: a stored answer would be old news.

Narrow on purpose: "can I open an account today?" and "what is a current account?" have the same answer every day. So a word such as
today counts only in a question about the world, which has no I and no my in it; and some subjects are never still: weather, scores,
prices of shares.
"""

import re

from proxy.core.caching.question_patterns.timely_phrases import asks_about_now
from proxy.core.text.plain_words import simplify

# A stranger's text is searched from every place of it, so no rule repeats anything without a bound.
_WORD = r"\w{1,30}"
_WHEN = (
    r"(?:today|tonight|tomorrow|yesterday|now|nowadays|currently|presently|recently|at present|right now|"
    r"this (?:morning|afternoon|evening|week(?:end)?|month|season)|last night|at the moment|so far this|"
    r"just now)"
)
_ABOUT_THE_WORLD = re.compile(
    r"^(?:(?:hi|hello|hey|please|and|so|well)\b[,!.]? ?)?"
    r"(?:what|which|who|whose|is|are|was|were|will|did|has|have|any|give|list|when|anything|"
    r"how (?:is|are|was|did|busy|much is|much are|hot|cold|long is|many|old|full|bad|strong))\b"
    rf"(?:'s|'re)?[^?!]{{0,1000}}\b{_WHEN}\b"
)
_NOW = re.compile(r"\b(?:right now|at the moment|at this moment|as of (?:now|today)|this (?:very )?(?:minute|second))\b")
_ASKER = re.compile(r"\b(?:i|i'm|i've|my)\b")
_SENTENCE_END = re.compile(r"[.!?] ")
_FIRST_PERSON = re.compile(r"\b(?:i|i'm|i've|i'd|my|me|mine|we|our|us|you|your)\b")
_SUBJECTS = (
    r"what(?:'s| is)? (?:the )?(?:time|date|day|month|year)(?: of the week)? (?:is it|it is|today|now)",
    r"what (?:time|day|date|month|year) is it",
    r"what day of the week",
    r"how (?:many days|long) (?:until|till)",
    r"(?:latest|current|today'?s|tonight'?s|live|breaking|this week'?s|newest|most recent|up[- ]to[- ]date) "
    rf"(?:{_WORD} )?(?:news|headlines?|scores?|weather|forecast|traffic|prices?|stock|rates?|version|release|"
    r"models?|specials?|changes|restrictions?|president|prime minister|champions?|ceo|wait|status|results?|"
    r"iphone|phone|inflation)",
    rf"(?:weather|news|traffic) (?:like |in {_WORD} )?(?:today|tonight|now|tomorrow)",
    r"what(?:'s| is) the (?:weather|temperature (?:outside|in)|traffic|score|pollen|air quality|share price|wait time)",
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
_NEVER_STILL = re.compile(r"\b(?:" + "|".join(_SUBJECTS) + ")")


def is_timely(question: str) -> bool:
    """Whether the answer holds for a short time only, in the languages of `proxy.core.caching.question_patterns`."""
    return any(map(_speaks_of_now, _SENTENCE_END.split(simplify(question)))) or asks_about_now(question)


def _speaks_of_now(sentence: str) -> bool:
    if _NEVER_STILL.search(sentence) or (_NOW.search(sentence) and not _ASKER.search(sentence)):
        return True
    return _ABOUT_THE_WORLD.search(sentence) is not None and _FIRST_PERSON.search(sentence) is None
