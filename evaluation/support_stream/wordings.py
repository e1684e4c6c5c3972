"""One question as different customers type it: harmless edits, which leave its answer right.

Of 20,000 draws 58 % stay word for word, and 41 % are texts that none before them was. Half of all
draws get one edit, some of them two:

- case: all lower case, a capital at the beginning, or all capitals
- the sign at the end: none, or another one
- a greeting in front of it
- please, or thanks
- a typing error in a long word: two letters exchanged, one left out, one doubled
- a contraction written out, or the other way round

An edit that does not apply, such as a contraction where there is none, leaves the text as it is.
"""

import random
import re
from collections.abc import Callable

VERBATIM, TWO_EDITS = "word for word", "two edits"
# How many edits a draw gets, in a hundred.
EDIT_COUNTS = {0: 50, 1: 38, 2: 12}
EDIT_WEIGHTS = {
    "case": 20,
    "end": 20,
    "greeting": 20,
    "politeness": 16,
    "typing error": 14,
    "contraction": 10,
}
MIN_TYPO_LENGTH = 7  # letters of a word that is mistyped
GREETINGS = ("Hi, ", "Hello, ", "Hey, ", "Hi there, ", "Good morning, ")
PLEASES = (", please", " please")
THANKS = (" Thanks!", " Thank you.", " Thanks in advance.")
END_SIGNS = ("", "?", ".", "!")
CONTRACTIONS = (
    ("I am", "I'm"),
    ("I will", "I'll"),
    ("what is", "what's"),
    ("where is", "where's"),
    ("do not", "don't"),
    ("does not", "doesn't"),
    ("did not", "didn't"),
    ("is not", "isn't"),
    ("has not", "hasn't"),
    ("cannot", "can't"),
)
_LONG_WORD = re.compile(rf"\b[a-z]{{{MIN_TYPO_LENGTH},}}\b")


def vary_text(text: str, dice: random.Random) -> tuple[str, str]:
    """The text as the next customer types it, and the name of what was edited."""
    (count,) = dice.choices(list(EDIT_COUNTS), list(EDIT_COUNTS.values()))
    drawn = dice.sample(list(EDITS), count, counts=list(EDIT_WEIGHTS.values()))
    done = []
    for name in dict.fromkeys(drawn):  # the same one twice is one
        typed = EDITS[name](text, dice)
        if typed != text:
            done.append(name)
        text = typed
    return text, TWO_EDITS if len(done) > 1 else "".join(done) or VERBATIM


def change_case(text: str, dice: random.Random) -> str:
    """Capitals throughout are the rarest."""
    change: Callable[[str], str] = dice.choice(
        (str.lower, str.lower, _capitalize_first, _capitalize_first, str.upper)
    )
    return change(text)


def change_end(text: str, dice: random.Random) -> str:
    body, sign = _split_end(text)
    return body + dice.choice([other for other in END_SIGNS if other != sign])


def add_greeting(text: str, dice: random.Random) -> str:
    return dice.choice(GREETINGS) + _lower_first(text)


def add_politeness(text: str, dice: random.Random) -> str:
    """Please stands before the sign at the end, thanks behind it."""
    body, sign = _split_end(text)
    if dice.random() < 0.5:
        return body + dice.choice(PLEASES) + sign
    return body + (sign or ".") + dice.choice(THANKS)


def mistype_word(text: str, dice: random.Random) -> str:
    """The first and the last letter stay."""
    words = list(_LONG_WORD.finditer(text))
    if not words:
        return text
    word = dice.choice(words)
    at = word.start() + dice.randrange(1, len(word[0]) - 2)
    one, other = text[at], text[at + 1]
    typed = dice.choice((other + one, other, one + one + other))
    return text[:at] + typed + text[at + 2 :]


def change_contraction(text: str, dice: random.Random) -> str:
    """One of those that stand there, written out or drawn together."""
    found = [
        (match, other)
        for pair in CONTRACTIONS
        for form, other in (pair, pair[::-1])
        for match in re.finditer(rf"\b{form}\b", text, re.IGNORECASE)
    ]
    if not found:
        return text
    match, other = dice.choice(found)
    typed = _capitalize_first(other) if match[0][0].isupper() else other[0].lower() + other[1:]
    return text[: match.start()] + typed + text[match.end() :]


EDITS: dict[str, Callable[[str, random.Random], str]] = {
    "case": change_case,
    "end": change_end,
    "greeting": add_greeting,
    "politeness": add_politeness,
    "typing error": mistype_word,
    "contraction": change_contraction,
}


def _split_end(text: str) -> tuple[str, str]:
    """The text without the signs at its end, and the last of those."""
    body = text.rstrip(" .?!")
    return body, text.rstrip()[-1:] if body != text.rstrip() else ""


def _capitalize_first(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lower_first(text: str) -> str:
    """But for words that are written with a capital: I, GBP."""
    plain = text[1:2].islower() or text.startswith("A ")
    return text[:1].lower() + text[1:] if plain else text
