"""Edits that leave a question the question it was."""

import random
import re
import string
from collections.abc import Callable

from evaluation.verifier.harmful import swap
from evaluation.verifier.stock import CHATTER, items
from proxy.core.verification.lexicon.synonyms import SYNONYMS

Edit = Callable[[str, random.Random], str | None]

_GREETINGS = (
    "Hi, |Hello, |Hello! |Hey there, |Hey, |Good morning, |Quick question: |Please, |Sorry, "
    "|Excuse me, |Ok so |So, |hi |Could you please tell me: "
).split("|")
_CLOSINGS = (
    " please| Thanks!| thanks| thank you|, please|. Thank you!| Thanks in advance| "
    "cheers|, thanks so much"
).split("|")
_CONTRACTIONS = [
    ("i am", "i'm"), ("i have", "i've"), ("i would", "i'd"), ("i will", "i'll"), ("what is", "what's"), ("where is", "where's"),
    ("it is", "it's"), ("do not", "don't"), ("can not", "can't"), ("cannot", "can't"), ("does not", "doesn't"), ("is not", "isn't"),
    ("who is", "who's"), ("how is", "how's"), ("let us", "let's"), ("that is", "that's"), ("did not", "didn't"), ("will not", "won't"),
]  # fmt: skip
_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve".split()
_REWORDED = [
    ("how do i", "how can i"), ("how can i", "what's the way to"), ("how do i", "i want to know how to"), ("how to", "how do i"),
    ("can you", "could you"), ("tell me", "let me know"), ("i want", "i would like"), ("i need to", "i have to"),
    ("what is", "tell me what"),
    ("what's", "what is"), ("show me", "give me"), ("is there", "do you have"), ("i'd like", "i want"),
    ("how much is", "what's the price of"),
    ("why is", "what is the reason that"), ("where can i", "where do i"), ("when is", "what day is"), ("can i", "am i able to"),
    ("can i", "is it possible to"), ("what are", "which are"), ("do you know", "can you tell me"), ("help me", "i need help to"),
    ("i need", "i want"), ("i want to", "i'm trying to"), ("looking for", "searching for"), ("will it", "is it going to"),
]  # fmt: skip
_KEYS = {"a": "sq", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "f": "dg", "g": "fh", "h": "gj", "i": "uo", "l": "ko", "m": "n", "n": "bm",
         "o": "ip", "p": "o", "r": "et", "s": "ad", "t": "ry", "u": "yi", "v": "cb", "w": "qe", "y": "tu"}  # fmt: skip
_SAME: dict[str, list[str]] = {}
for _line in items(SYNONYMS):
    for _word in _line.split():
        _SAME[_word] = [other for other in _line.split() if other != _word and other.isalpha()]


def greet(text: str, rng: random.Random) -> str | None:
    return rng.choice(_GREETINGS) + text


def thank(text: str, rng: random.Random) -> str | None:
    return text.rstrip(".") + rng.choice(_CLOSINGS)


def chat(text: str, rng: random.Random) -> str | None:
    said = rng.choice(items(CHATTER))
    return (
        f"{said} {text}"
        if rng.random() < 0.5
        else f"{text.rstrip('.!')}{'' if text.endswith('?') else '.'} {said}"
    )


def recase(text: str, rng: random.Random) -> str | None:
    done = rng.choice(
        [
            text.upper(),
            text.lower(),
            text.capitalize(),
            text.title(),
            text + "??",
            text.rstrip("?.!"),
            text + "?",
            text + ".",
        ]
    )
    return done if done != text else None


def contract(text: str, rng: random.Random) -> str | None:
    return swap(text, _CONTRACTIONS, rng)


def reword(text: str, rng: random.Random) -> str | None:
    return swap(text, _REWORDED, rng)


def spell(text: str, rng: random.Random) -> str | None:
    """2 as two, and back."""
    found = re.findall(r"\b(?:1?\d)\b(?![:.,/\d])", text)
    found = [digit for digit in found if int(digit) < len(_NUMBERS)]
    if found:
        digit = rng.choice(found)
        return re.sub(rf"(?<![:.,/\d])\b{digit}\b(?![:.,/\d])", _NUMBERS[int(digit)], text, count=1)
    words = [word for word in _NUMBERS[2:] if re.search(rf"\b{word}\b", text)]
    return (
        re.sub(rf"\b{words[0]}\b", str(_NUMBERS.index(words[0])), text, count=1) if words else None
    )


def synonym(text: str, rng: random.Random) -> str | None:
    words = text.split(" ")
    places = [place for place, word in enumerate(words) if _SAME.get(word.lower())]
    if not places:
        return None
    place = rng.choice(places)
    words[place] = rng.choice(_SAME[words[place].lower()])
    return " ".join(words)


def mistype(text: str, rng: random.Random) -> str | None:
    """A slip inside one or two words of four letters and more."""
    words = text.split(" ")
    places = [place for place, word in enumerate(words) if len(word) > 3 and word.isalpha()]
    if not places:
        return None
    for place in rng.sample(places, min(len(places), 1 if rng.random() < 0.8 else 2)):
        words[place] = _slip(words[place], rng)
    return " ".join(words)


def shorten(text: str, rng: random.Random) -> str | None:
    """Without its articles, as people type."""
    done = re.sub(r"\b(the|a|an)\b ", "", text, flags=re.IGNORECASE)
    return done if done != text else None


def _slip(word: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word) - 1)
    letter = word[at]
    kind = rng.randrange(6)
    if kind < 3:
        return word[:at] + word[at + 1] + letter + word[at + 2 :]
    if kind == 3:
        return word[:at] + word[at + 1 :]
    if kind == 4:
        return word[:at] + letter + word[at:]
    return (
        word[:at] + rng.choice(_KEYS.get(letter.lower(), string.ascii_lowercase)) + word[at + 1 :]
    )


HARMLESS: dict[str, Edit] = {
    "greet": greet, "thank": thank, "chat": chat, "case": recase, "contraction": contract, "reword": reword, "number word": spell,
    "synonym": synonym, "typo": mistype, "typo again": mistype, "articles": shorten,
}  # fmt: skip
