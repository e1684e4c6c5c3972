"""A first second look at a semantic hit: two questions that differ in a number, a negation or a named thing have different answers,
whatever their cosine. Each veto has a name. A learned verifier is to follow these rules, not to replace them."""

import re
from collections import Counter
from itertools import count, pairwise, product

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_TO_TWENTY = (
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty"
).split()
_TENS = "thirty forty fifty sixty seventy eighty ninety".split()
_NUMBER_WORDS = {
    word: str(value)
    for start, step, words in ((2, 1, _TO_TWENTY), (30, 10, _TENS))
    for value, word in zip(count(start, step), words, strict=False)
}
_NUMBER_WORDS["zero"] = "0"
_NEGATION = re.compile(
    r"\b(?:not|no|never|non|none|nothing|nobody|without|cannot|cant|dont|doesnt|didnt|wont|isnt|unless)\b|n['’]t\b", re.IGNORECASE
)
_HALF_OF_DAY = re.compile(rf"(?:\d|\b(?:one|{'|'.join(_NUMBER_WORDS)}))\s?([ap])\.?m\b", re.IGNORECASE)
_OPPOSITES = ("un", "in", "im", "ir", "il", "dis")
_CALENDAR = frozenset(
    (
        "monday tuesday wednesday thursday friday saturday sunday "
        "january february april june july august september october november december"
    ).split()
)
_NO_NAMES = frozenset("i hi hello hey dear am pm ok okay please sorry thanks thank you cheers".split())
_SENTENCE_END = frozenset(".!?:\n")


def veto(asked: str, stored: str) -> str | None:
    """Why the stored question's answer must not be served for the one asked: `numbers`, `negation`, `names`; None when the rules agree."""
    if _numbers(asked) != _numbers(stored):
        return "numbers"
    if len(_NEGATION.findall(asked)) % 2 != len(_NEGATION.findall(stored)) % 2 or _opposed(asked, stored):
        return "negation"
    if _names_differ(asked, stored):
        return "names"
    return None


def _numbers(text: str) -> Counter[str]:
    """Numbers in digits or words, and the half of the day of a time. `one` is left out: it is a pronoun more often than a number."""
    spelled = (_NUMBER_WORDS.get(word.lower()) for word in _WORD.findall(text))
    halves = (half.lower() for half in _HALF_OF_DAY.findall(text))
    return Counter(_NUMBER.findall(text)) + Counter(value for value in spelled if value) + Counter(halves)


def _opposed(asked: str, stored: str) -> bool:
    """Whether a word of one text is in the other only with a negating prefix, as suitable and unsuitable."""
    words_asked, words_stored = _words(asked), _words(stored)
    only_asked, only_stored = words_asked - words_stored, words_stored - words_asked
    either = ((only_asked, only_stored), (only_stored, only_asked))
    return any(prefix + word in others for words, others in either for prefix, word in product(_OPPOSITES, words))


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
