"""A first second look at a semantic hit: two questions that differ in a number, a negation or a named thing have different answers,
whatever their cosine. Each veto has a name. A learned verifier is to follow these rules, not to replace them."""

import re
from collections import Counter
from itertools import pairwise

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_NUMBER_WORDS = {
    word: str(value)
    for value, word in enumerate(
        (
            "zero ? two three four five six seven eight nine ten eleven twelve thirteen "
            "fourteen fifteen sixteen seventeen eighteen nineteen twenty"
        ).split()
    )
} | {word: str(value) for value, word in zip(range(30, 100, 10), "thirty forty fifty sixty seventy eighty ninety".split(), strict=True)}
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nothing|nobody|without|cannot|cant|dont|doesnt|didnt|wont|isnt|unless)\b|n['’]t\b", re.IGNORECASE
)
_CALENDAR = frozenset(
    (
        "monday tuesday wednesday thursday friday saturday sunday "
        "january february april june july august september october november december"
    ).split()
)
_NO_NAMES = frozenset("i hi hello hey dear ok okay please sorry thanks thank you cheers".split())
_SENTENCE_END = frozenset(".!?:\n")


def veto(asked: str, stored: str) -> str | None:
    """Why the stored question's answer must not be served for the one asked: `numbers`, `negation`, `names`; None when the rules agree."""
    if _numbers(asked) != _numbers(stored):
        return "numbers"
    if len(_NEGATION.findall(asked)) % 2 != len(_NEGATION.findall(stored)) % 2:
        return "negation"
    if _names_differ(asked, stored):
        return "names"
    return None


def _numbers(text: str) -> Counter[str]:
    """Numbers in digits or words. `one` is left out: it is a pronoun more often than a number."""
    spelled = (_NUMBER_WORDS.get(word.lower()) for word in _WORD.findall(text))
    return Counter(_NUMBER.findall(text)) + Counter(value for value in spelled if value)


def _names_differ(asked: str, stored: str) -> bool:
    """Whether either text names something that the other does not mention in any case. Days and months are names without capitals."""
    words_asked, words_stored = _words(asked), _words(stored)
    if words_asked & _CALENDAR != words_stored & _CALENDAR:
        return True
    return not (_names(asked) <= words_stored and _names(stored) <= words_asked)


def _words(text: str) -> frozenset[str]:
    return frozenset(word.lower() for word in _WORD.findall(text))


def _names(text: str) -> set[str]:
    """Capitalised words inside a sentence, lower-cased. A text all in capitals, or in Title Case, says nothing by them."""
    found = list(_WORD.finditer(text))
    capitalised = [match for match in found if match[0][0].isupper()]
    if len(found) > 2 and len(capitalised) * 2 > len(found):
        return set()
    starts = {match.start() for before, match in pairwise(found) if _SENTENCE_END & set(text[before.end() : match.start()])}
    starts |= {found[0].start()} if found else set()
    return {match[0].lower() for match in capitalised if match.start() not in starts and _stem(match[0]) not in _NO_NAMES}


def _stem(word: str) -> str:
    """The word up to an apostrophe: `I'm` is `i`."""
    return re.split(r"['’]", word)[0].lower()
