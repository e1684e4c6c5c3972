"""A text as words, numbers and signs in order, whatever way they were written: "don't" and "do not", 2 and two, log in and login."""

import re
from itertools import pairwise

from proxy.core.verify.alike import JOINED

_TOKEN = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_]+(?:'[^\W\d_]+)*|[$€£¥₹%]|[.!?]+\s?")
END = "."
_HALF_OF_DAY = re.compile(r"\b([ap])\.m\b")
_MONEY = re.compile(r"([$€£¥₹])\s?(\d[\d.,:]*)")
_THOUSANDS = re.compile(r",(?=\d{3}(?!\d))")
_TO_TWENTY = (
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
)
_TO_NINE = {word: value for value, word in enumerate(["one", *_TO_TWENTY[:8]], 1)}
_TENS = {word: 10 * value for value, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)}
_NTHS = (
    "third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth "
    "eighteenth nineteenth twentieth"
)
_NTH = {word: value for value, word in enumerate(_NTHS.split(), 3)}
# `one` is left out: it is a pronoun more often than a number. So are first and second, which mean other things too.
_NUMBER_WORDS = {word: str(value) for value, word in [(0, "zero"), *enumerate(_TO_TWENTY, 2)]}
_NUMBER_WORDS |= {word: str(value) for word, value in (_TENS | _NTH).items()}
_ORDINALS = frozenset("st nd rd th".split())
# What may follow the apostrophe of an English word; l'entrata and O'Brien are one word each.
_CONTRACTED = frozenset(("", *"s re ve ll d m t".split()))
# Contractions are written without their apostrophe as well.
_NEGATED = frozenset("cannot cant dont doesnt didnt wont isnt arent wasnt werent hasnt havent hadnt couldnt shouldnt wouldnt aint".split())
JOINED_TOKENS = {tuple(phrase.split()): one for phrase, one in (entry.strip().split("=") for entry in JOINED.replace("\n", " ").split(","))}


def tokens_of(text: str) -> list[str]:
    """Tokens of a folded text in lower case. A contraction keeps its first word only, or is "not"; $5 is 5 $; where
    a sentence ends and another begins is END."""
    found: list[str] = []
    before = ""
    text = _MONEY.sub(r"\2 \1", _HALF_OF_DAY.sub(r"\1m", text.lower()))
    for token in _TOKEN.findall(text):
        if token[0] in ".!?":
            found.extend([END] if token[-1].isspace() else [])
        elif before in _TENS and token in _TO_NINE:
            found[-1] = str(_TENS[before] + _TO_NINE[token])
        elif token[0].isdecimal():
            found.append(_number(token))
        elif token in _NEGATED or token.endswith("n't"):
            found.append("not")
        elif token not in _ORDINALS or not before[:1].isdecimal():
            first, _, rest = token.partition("'")
            plain = first if rest in _CONTRACTED else token
            found.append(_NUMBER_WORDS.get(plain, plain))
        before = token
    return _joined(found)


def _number(digits: str) -> str:
    """One way to write a number: 1,000 is 1000; 5.00 and 5:00 are 5."""
    plain = _THOUSANDS.sub("", digits)
    return plain[:-3] if plain[-3:] in {".00", ":00"} else plain


def _joined(tokens: list[str]) -> list[str]:
    """With phrases of two words as one."""
    found: list[str] = []
    taken = False
    for pair in pairwise([*tokens, ""]):
        one = None if taken else JOINED_TOKENS.get(pair)
        if not taken:
            found.append(one or pair[0])
        taken = one is not None
    return found
