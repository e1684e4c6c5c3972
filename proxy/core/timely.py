"""Questions whose answer changes from one day or hour to the next: a stored answer would be old news.

Narrow on purpose: "can I open an account today?" and "what is a current account?" have the same answer every day. So a word such as
today counts only in a question about the world, which has no I and no my in it; and some subjects are never still: weather, scores,
prices of shares.
"""

import re

_WHEN = (
    r"(?:today|tonight|tomorrow|yesterday|now|nowadays|currently|presently|recently|at present|right now|this (?:morning|afternoon|evening|"
    r"week(?:end)?|month|season)|last night|at the moment|so far this|just now)"
)
_ABOUT_THE_WORLD = re.compile(
    r"^(?:(?:hi|hello|hey|please|and|so|well)\b[,!.]? *)?(?:what|which|who|whose|is|are|was|were|will|did|has|have|any|give|"
    r"list|when|how (?:is|are|was|did|"
    rf"busy|much is|much are|hot|cold|long is|many|old|full|bad|strong)|anything)\b(?:'s|'re)?[^?!]*\b{_WHEN}\b",
    re.IGNORECASE,
)
_NOW = re.compile(r"\b(?:right now|at the moment|at this moment|as of (?:now|today)|this (?:very )?(?:minute|second))\b", re.IGNORECASE)
_ASKER = re.compile(r"\b(?:i|i'm|i've|my)\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?]\s+")
_FIRST_PERSON = re.compile(r"\b(?:i|i'm|i've|i'd|my|me|mine|we|our|us|you|your)\b", re.IGNORECASE)
_NEVER_STILL = re.compile(
    r"\b(?:"
    r"what(?:'s| is)? (?:the )?(?:time|date|day|month|year)(?: of the week)? (?:is it|it is|today|now)|"
    r"what (?:time|day|date|month|year) is it|"
    r"what day of the week|how (?:many days|long) (?:until|till)|"
    r"(?:latest|current|today'?s|tonight'?s|live|breaking|this week'?s|newest|most recent|up[- ]to[- ]date) (?:\w+ )?"
    r"(?:news|headlines?|scores?|weather|forecast|traffic|prices?|stock|rates?|version|release|models?|specials?|changes|restrictions?|"
    r"president|prime minister|champions?|ceo|wait|status|results?|iphone|phone|inflation)|"
    r"(?:weather|news|traffic) (?:like |in \w+ )?(?:today|tonight|now|tomorrow)|"
    r"what(?:'s| is) the (?:weather|temperature (?:outside|in)|traffic|score|pollen|air quality|share price|wait time)|"
    r"(?:share|stock|gold|silver|oil|bitcoin) price of|(?:share|stock|gold|bitcoin) price\b|price of (?:bitcoin|gold|silver|oil|petrol)|"
    r"(?:score|result)s? (?:in|of) the \w+ (?:match|game|race)|who (?:won|is winning|is leading)\b|trending|"
    r"(?:delays|outages|disruptions?) (?:on|at|in|out)\b|\b(?:flights?|trains?|bus|buses) (?:\w+ )*(?:delayed|cancelled|running|on time)|"
    r"when (?:does|will) the next\b|next (?:bus|train|flight|tram|ferry|full moon)\b|tickets (?:still )?left|still (?:snow|rain|storm)ing|"
    r"(?:has|have) the \w+ (?:\w+ )?yet\b|\bis there a sale on\b|(?:sun|moon) (?:set|rise)s? (?:today|tonight)|what's on tonight)",
    re.IGNORECASE,
)


def is_timely(question: str) -> bool:
    """Whether the answer holds for a short time only. English."""
    return any(map(_speaks_of_now, _SENTENCE_END.split(question)))


def _speaks_of_now(sentence: str) -> bool:
    if _NEVER_STILL.search(sentence) or (_NOW.search(sentence) and not _ASKER.search(sentence)):
        return True
    return _ABOUT_THE_WORLD.search(sentence) is not None and _FIRST_PERSON.search(sentence) is None
