"""Normalise a text to what a reader sees: invisible characters removed, look-alikes unified.

Unicode's compatibility form (UAX 15) folds wide letters, ligatures and the like; look-alikes are
the Cyrillic, Greek and Latin letters of UTS 39 that are drawn as plain Latin ones.
"""

import re
import unicodedata

_LOOK_ALIKE_LETTERS = "аеорсухіјѕһԁԛԝѵьАВЕКМНОРСТУХІЈЅԌԚԜαορνικΑΒΕΖΗΙΚΜΝΟΡΤΥΧıɡɑℓ"
_PLAIN_LETTERS = "aeopcyxijshdqwvbABEKMHOPCTYXIJSGQWaopvikABEZHIKMNOPTYXigal"
_LOOK_ALIKES = str.maketrans(_LOOK_ALIKE_LETTERS, _PLAIN_LETTERS) | str.maketrans(
    "‘’ʼ`´′‐‑‒–—−", "''''''------"
)
# Format characters, tags, variation selectors, joiners and fillers: they have no width.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]+"
)
# Ordering combining marks takes time quadratic in their number; UAX 15 allows 30 in a row, no
# language needs 8.
_MAX_MARKS = 8


def fold_text(text: str) -> str:
    """Return the text in NFKC, look-alikes unified, digits as 0 to 9, invisible characters removed.

    Linear in the length.
    """
    if text.isascii():
        return text.replace("`", "'")
    seen = remove_invisible(text)
    # NFKC once more, since a folded letter may join with the mark behind it.
    return unicodedata.normalize("NFKC", "".join(map(_fold_digit, seen)).translate(_LOOK_ALIKES))


def remove_invisible(text: str) -> str:
    """Return the text in NFKC, without characters of no width and with few marks on each letter.

    Linear in the length.
    """
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", limit_marks(_INVISIBLE.sub("", text))))


def limit_marks(text: str) -> str:
    """Drop combining marks beyond `_MAX_MARKS` in a row."""
    kept: list[str] = []
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks <= _MAX_MARKS:
            kept.append(character)
    return "".join(kept)


def _fold_digit(character: str) -> str:
    return str(unicodedata.decimal(character)) if character.isdecimal() else character
