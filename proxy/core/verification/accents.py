"""Names in English prose with and without their accents: Dvořák, Dvorak; São Paulo, Sao Paulo.

Only what both texts write as a name, and whose plain letters are no everyday word: rosé and rose, Pâté and pate are two words.
"""

import re
import unicodedata

from proxy.core.text.normalize import few_marks
from proxy.core.verification.english import is_english
from proxy.core.verification.lexicon.given_names import GIVEN
from proxy.core.verification.lexicon.places import PLACES
from proxy.core.verification.lexicon.word_ranks import rank

_WORD = re.compile(r"[^\W\d_]+")
# Letters that are no letter with a mark upon it.
_WHOLE = str.maketrans({"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D"})
_SHORTEST = 3
# Plain letters that are met so often are a word by themselves, as are these.
_EVERYDAY = 4.0
_TWO_WORDS = frozenset(
    "rose resume pate mate expose pique lame sake saute forte attache cure mane ore palm celebre more passe pave mace".split()
)


def named_alike(asked: str, stored: str) -> tuple[str, str]:
    """Both texts, a name that one has with other accents than the other in plain letters, if they are English; else as they are. Linear in
    their lengths; the same both ways round."""
    if asked.isascii() and stored.isascii():
        return asked, stored
    if any(few_marks(text) != text for text in (asked, stored)):
        return asked, stored
    ours, theirs = (unicodedata.normalize("NFC", text) for text in (asked, stored))
    here, there = _names(ours), _names(theirs)
    shared = {plain for plain in here.keys() & there.keys() if here[plain] != there[plain] and _is_name(plain.lower())}
    if not shared:
        return asked, stored
    one, other = (_WORD.sub(lambda match: _in_plain(match[0], shared), text) for text in (ours, theirs))
    return (one, other) if is_english(one) and is_english(other) else (asked, stored)


def _names(text: str) -> dict[str, set[str]]:
    """Plain letters of the capitalised words, the first one only if it is known for a name, to how they are written."""
    found: dict[str, set[str]] = {}
    for place, match in enumerate(_WORD.finditer(text)):
        word = match[0]
        plain = _plain(word) if word.istitle() else ""
        if len(plain) >= _SHORTEST and (place or plain.lower() in GIVEN or plain.lower() in PLACES):
            found.setdefault(plain, set()).add(word)
    return found


def _in_plain(word: str, shared: set[str]) -> str:
    plain = "" if word.isascii() else _plain(word)
    return plain if plain in shared else word


def _plain(word: str) -> str:
    """The word without marks; empty when it is not of Latin letters."""
    if word.isascii():
        return word
    letters = "".join(each for each in unicodedata.normalize("NFD", word.translate(_WHOLE)) if not unicodedata.combining(each))
    return letters if letters.isascii() else ""


def _is_name(letters: str) -> bool:
    return letters in GIVEN or letters in PLACES or (letters not in _TWO_WORDS and rank(letters) < _EVERYDAY)
